//! Tells the log when a backend cannot be reached any more, and when it can again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tracing::{info, warn};

use crate::network::{Resolution, Why};

/// Which addresses the log believes to be reachable.
#[derive(Debug, Default)]
pub(super) struct Reachability(BTreeMap<IpAddr, bool>);

/// What is worth a line.
#[derive(Debug, PartialEq, Eq)]
enum News<'r> {
    Lost(IpAddr, &'r Why),
    Back(IpAddr),
}

impl Reachability {
    /// Logs what has changed.
    pub(super) fn note(&mut self, resolutions: &BTreeMap<IpAddr, Resolution>) {
        for news in self.news(resolutions) {
            match news {
                News::Lost(address, why) => warn!("backends at {address} are not reachable: {why}"),
                News::Back(address) => info!("backends at {address} are reachable again"),
            }
        }
    }

    fn news<'r>(&mut self, resolutions: &'r BTreeMap<IpAddr, Resolution>) -> Vec<News<'r>> {
        self.0.retain(|address, _| resolutions.contains_key(address));
        let mut news = Vec::new();
        for (&address, resolution) in resolutions {
            match resolution {
                // Nothing is known before there is an answer.
                Resolution::Unreachable(Why::Asked { .. }) => {}
                Resolution::Unreachable(why) => {
                    if self.0.insert(address, false) != Some(false) {
                        news.push(News::Lost(address, why));
                    }
                }
                Resolution::Reachable(_) => {
                    if self.0.insert(address, true) == Some(false) {
                        news.push(News::Back(address));
                    }
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::fake::{asked, reachable, silent};

    #[test]
    fn only_what_changes_is_news() {
        let address: IpAddr = "192.168.1.9".parse().unwrap();
        let (up, down, unknown) = (reachable("192.168.1.1"), silent("192.168.1.9"), asked("192.168.1.9"));
        let mut log = Reachability::default();
        let mut steps = Vec::new();
        for resolution in [&unknown, &up, &unknown, &up, &down, &unknown, &down, &unknown, &up, &down] {
            let resolutions = BTreeMap::from([(address, resolution.clone())]);
            steps.push(log.news(&resolutions).pop().map(|news| matches!(news, News::Back(_))));
        }
        let (lost, back, nothing) = (Some(false), Some(true), None);
        let expected = [nothing, nothing, nothing, nothing, lost, nothing, nothing, nothing, back, lost];
        assert_eq!(steps, expected);

        log.news(&BTreeMap::new());
        let news = BTreeMap::from([(address, up)]);
        assert_eq!(log.news(&news), [], "a backend that is added again begins anew");
    }
}
