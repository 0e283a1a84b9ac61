//! What each command needs. It is looked for by itself: who installed it, and how, does not matter.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;
use xtask::ebpf::{compiler, linker};

use super::apt::{self, Offers};
use crate::{machine, workspace};

/// What the machine is set up for; each needs all that the one before needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Purpose {
    /// A compiler and a linker for BPF
    Build,
    /// And tools to make a network, and to query
    Run,
    /// And real DNS servers, load generators, and tools to look at packets and programs
    Test,
    /// And the balancers that dproxy is compared with
    Bench,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Purpose::Build => "build",
            Purpose::Run => "run",
            Purpose::Test => "test",
            Purpose::Bench => "bench",
        })
    }
}

/// A program, the Debian package that has it, and who needs it.
struct Tool {
    program: &'static str,
    package: &'static str,
    purpose: Purpose,
    /// What the package would start, now and at every boot.
    service: Option<&'static str>,
}

const TOOLS: [Tool; 16] = [
    tool("ip", "iproute2", Purpose::Run),
    tool("ethtool", "ethtool", Purpose::Run),
    tool("dig", "bind9-dnsutils", Purpose::Run),
    server("nsd", "nsd", "nsd", Purpose::Test),
    server("knotd", "knot", "knot", Purpose::Test),
    server("named", "bind9", "named", Purpose::Test),
    server("unbound", "unbound", "unbound", Purpose::Test),
    tool("kdig", "knot-dnsutils", Purpose::Test),
    tool("dnsperf", "dnsperf", Purpose::Test),
    tool("tcpdump", "tcpdump", Purpose::Test),
    tool("bpftool", "bpftool", Purpose::Test),
    tool("strace", "strace", Purpose::Test),
    server("dnsdist", "dnsdist", "dnsdist", Purpose::Bench),
    // The module brings nginx itself along.
    server("nginx", "libnginx-mod-stream", "nginx", Purpose::Bench),
    tool("nft", "nftables", Purpose::Bench),
    tool("kxdpgun", "knot", Purpose::Bench),
];

const fn tool(program: &'static str, package: &'static str, purpose: Purpose) -> Tool {
    Tool { program, package, purpose, service: None }
}

const fn server(
    program: &'static str,
    package: &'static str,
    service: &'static str,
    purpose: Purpose,
) -> Tool {
    Tool { program, package, purpose, service: Some(service) }
}

/// What a machine lacks.
#[derive(Default)]
pub struct Missing {
    tools: Vec<&'static Tool>,
    /// A Rust compiler for BPF.
    pub compiler: bool,
    /// bpf-linker, in the version we use.
    pub linker: bool,
}

impl Missing {
    /// Looks at this machine.
    pub fn look(purpose: Purpose) -> Self {
        Self {
            tools: lacking(purpose, machine::has_program),
            compiler: compiler::choose(compiler::inventory()).is_err(),
            linker: linker::find(workspace()).is_err(),
        }
    }

    /// Whether all is there.
    pub fn is_nothing(&self) -> bool {
        self.tools.is_empty() && !self.compiler && !self.linker
    }

    /// Whether only the linker lacks, which goes under `target/`: anyone may put it there, anywhere.
    pub fn is_only_linker(&self) -> bool {
        self.tools.is_empty() && !self.compiler
    }

    /// Debian's packages with the tools that lack.
    pub fn packages(&self) -> Vec<&'static str> {
        let packages: BTreeSet<_> = self.tools.iter().map(|tool| tool.package).collect();
        packages.into_iter().collect()
    }

    /// The services that these packages would start.
    pub fn services(&self) -> Vec<&'static str> {
        self.tools.iter().filter_map(|tool| tool.service).collect()
    }

    /// What to do where set-up may not do it.
    pub fn instructions(&self, apt: Offers) -> String {
        let (packages, programs) = (self.packages(), self.programs().join(", "));
        let mut lines = Vec::new();
        if !self.tools.is_empty() {
            lines.push(match apt {
                Offers::Tools | Offers::All => apt::install_line(&packages),
                Offers::Nothing => {
                    format!("the programs {programs} (Debian's packages: {})", packages.join(" "))
                }
            });
        }
        if self.compiler {
            lines.push(match apt {
                Offers::All => apt::install_line(&compiler::PACKAGES),
                Offers::Tools | Offers::Nothing => compiler::nightly_command().join(" "),
            });
        }
        if self.linker {
            lines.push(format!("cargo {} --force", linker::install_arguments().join(" ")));
        }
        lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }

    fn programs(&self) -> Vec<&'static str> {
        self.tools.iter().map(|tool| tool.program).collect()
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut things = Vec::new();
        if self.compiler {
            things.push("a Rust compiler for BPF".to_owned());
        }
        if self.linker {
            things.push(format!("bpf-linker {}", linker::VERSION));
        }
        things.extend(self.programs().iter().map(|program| (*program).to_owned()));
        f.write_str(&things.join(", "))
    }
}

fn lacking(purpose: Purpose, has: impl Fn(&str) -> bool) -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| tool.purpose <= purpose && !has(tool.program)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_needs_its_own_tools_and_those_before() {
        let packages =
            |purpose| Missing { tools: lacking(purpose, |_| false), ..Missing::default() }.packages();
        assert!(packages(Purpose::Build).is_empty());
        assert_eq!(packages(Purpose::Run), ["bind9-dnsutils", "ethtool", "iproute2"]);
        assert_eq!(
            packages(Purpose::Bench).len(),
            packages(Purpose::Test).len() + 3,
            "knot is there already"
        );
        assert_eq!(lacking(Purpose::Bench, |_| false).len(), TOOLS.len());
    }

    #[test]
    fn only_what_lacks_is_asked_for() {
        let tools = lacking(Purpose::Test, |program| program != "named");
        let missing = Missing { tools, ..Missing::default() };
        assert_eq!(missing.packages(), ["bind9"]);
        assert_eq!(missing.services(), ["named"]);
        assert!(!missing.is_nothing() && Missing::default().is_nothing());
    }

    #[test]
    fn the_linker_alone_needs_no_right_on_the_machine() {
        assert!(Missing { linker: true, ..Missing::default() }.is_only_linker());
        assert!(!Missing { linker: true, compiler: true, ..Missing::default() }.is_only_linker());
    }

    #[test]
    fn instructions_are_what_works_on_that_system() {
        let tools = lacking(Purpose::Run, |program| program != "dig");
        let missing = Missing { tools, compiler: true, linker: true };
        for (apt, expected) in [
            (Offers::All, ["apt-get install -y --no-install-recommends bind9-dnsutils", "rustc-web"]),
            (
                Offers::Tools,
                ["apt-get install -y --no-install-recommends bind9-dnsutils", "rustup toolchain"],
            ),
            (Offers::Nothing, ["the programs dig", "rustup toolchain"]),
        ] {
            let text = missing.instructions(apt);
            for part in expected.into_iter().chain(["cargo install bpf-linker --version"]) {
                assert!(text.contains(part), "{apt:?}: `{part}` is missing in:\n{text}");
            }
        }
    }
}
