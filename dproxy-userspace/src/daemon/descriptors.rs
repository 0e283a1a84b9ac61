//! How many files and sockets this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::warn;

use crate::config::Config;
use crate::slow_path::Limits;

/// Descriptors for all else than clients' TCP connections and backends: listeners, maps, the API.
const OTHERS: u64 = 1024;

/// Raises the limit, which is low by default for the sake of programs that use select(2): to what is needed,
/// or as far as it may be raised. If that is not enough, fewer connections are taken, so that there are
/// descriptors left for backends and operators, and the operator is told what to do.
pub(super) fn provide(config: &Config, limits: &mut Limits) -> Option<String> {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            warn!("cannot read the limit of open files: {error}");
            return None;
        }
    };
    let needs = Needs::of(config, limits);
    // Above the hard limit, only root may.
    let wanted = hard.max(needs.all());
    let set = |limit| setrlimit(Resource::RLIMIT_NOFILE, limit, limit).map(|()| limit);
    let limit = set(wanted).or_else(|_| set(hard)).unwrap_or_else(|error| {
        warn!("cannot raise the limit of open files from {soft} to {hard}: {error}");
        soft
    });
    let (connections, warning) = needs.met_with(limit);
    limits.tcp_connections = connections as usize;
    warning
}

/// What descriptors are needed for.
#[derive(Clone, Copy)]
struct Needs {
    connections: u64,
    /// For each client's connection: where backends expect the PROXY protocol, it has one of its own to them.
    per_connection: u64,
    others: u64,
}

impl Needs {
    fn of(config: &Config, limits: &Limits) -> Self {
        let backends: usize = config.pools.values().map(|pool| pool.backends.len()).sum();
        let proxies = config.pools.values().any(|pool| pool.proxy_protocol);
        Self {
            connections: limits.tcp_connections as u64,
            per_connection: if proxies { 2 } else { 1 },
            others: OTHERS + (limits.workers * backends) as u64,
        }
    }

    const fn all(self) -> u64 {
        self.connections * self.per_connection + self.others
    }

    /// How many connections can be taken, and what to tell the operator if these are fewer.
    fn met_with(self, limit: u64) -> (u64, Option<String>) {
        let needed = self.all();
        if limit >= needed {
            return (self.connections, None);
        }
        // Where nearly everything is wanting, a quarter has to do for the others.
        let left = limit - self.others.min(limit / 4);
        let connections = (left / self.per_connection).min(self.connections).max(1);
        let warning = format!(
            "this process may have {limit} files open, so that it takes {connections} TCP connections instead of \
             slow_path.tcp_connections {}: raise the limit to {needed} (systemd: LimitNOFILE={needed}, shell: \
             ulimit -n {needed}), or lower the setting",
            self.connections
        );
        (connections, (connections < self.connections).then_some(warning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_others() {
        let needs = Needs { connections: 20_000, per_connection: 1, others: 1034 };
        assert_eq!(needs.met_with(21_034), (20_000, None));
        let (connections, warning) = needs.met_with(20_000);
        assert_eq!(connections, 18_966);
        assert_eq!(
            warning.unwrap(),
            "this process may have 20000 files open, so that it takes 18966 TCP connections instead of \
             slow_path.tcp_connections 20000: raise the limit to 21034 (systemd: LimitNOFILE=21034, shell: \
             ulimit -n 21034), or lower the setting"
        );
        assert_eq!(needs.met_with(100).0, 75, "a quarter is for the others");
        assert_eq!(Needs { per_connection: 2, ..needs }.met_with(21_034).0, 10_000);
    }

    #[test]
    fn the_soft_limit_is_raised() {
        let config = Config::default();
        provide(&config, &mut Limits::from(&config.slow_path));
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    }
}
