use serde_json::json;

use crate::api::Stats;
use crate::cli::show::StatsView;
use crate::cli::style::Style;

fn counters(factor: u64) -> Stats {
    serde_json::from_value(json!({
        "generation": 3, "uptime_milliseconds": 1000 * factor, "received": 2100 * factor,
        "verdicts": {}, "slots_overwritten": 0,
        "slow_path": {
            "reasons": {"tcp-forwarded": 10 * factor, "udp-forwarded": 20 * factor, "bad-name": 0, "newer": factor},
            "tcp_connections": 3, "backend_connections": 1, "queries_in_flight": 2,
        },
        "reasons": {"query-forwarded": 1000 * factor, "not-ip": 0, "reply-forwarded": 1000 * factor, "newer": 100 * factor},
        "listeners": [{"address": "192.0.2.53:53", "queries": 1000 * factor, "responses": 1000 * factor}],
        "routes": [
            {"pattern": ".", "pool": "dice", "queries": factor},
            {"pattern": "org", "answer": "drop", "queries": 999 * factor},
        ],
        "pools": [{"name": "dice", "queries": 1000 * factor}],
        "backends": [{
            "address": "192.168.1.11:53", "pool": "dice", "queries": 1000 * factor, "replies": 1000 * factor,
            "noerror": 1000 * factor, "nxdomain": 0, "servfail": 0, "refused": 0, "other": 0,
            "late": 2, "latency": {"timed": 60, "p50_microseconds": 85, "p90_microseconds": 1234, "p99_microseconds": 2_100_000},
        }],
    }))
    .unwrap()
}

#[test]
fn counters_and_their_sums() {
    let view = StatsView { all: false, height: None, style: Style::PLAIN };
    assert_eq!(
        format!("\n{}\n", view.lines(&counters(1), None).join("\n")),
        "
generation 3, 2,100 packets received by the fast path
slow path now: 3 TCP connections, 1 to backends, 2 queries in flight

FAST PATH        VERDICT  PACKETS
query-forwarded  forward    1,000
reply-forwarded  forward    1,000
newer                         100
in total                    2,100

SLOW PATH      COUNT
udp-forwarded     20
tcp-forwarded     10
newer              1

LISTENER       QUERIES  RESPONSES
192.0.2.53:53    1,000      1,000

POOL  QUERIES
dice    1,000

BACKEND          POOL  QUERIES  REPLIES  NOERROR  NXDOMAIN  SERVFAIL  REFUSED  OTHER  LATE    P50     P90    P99
192.168.1.11:53  dice    1,000    1,000    1,000         0         0        0      0     2  85 µs  1.2 ms  2.1 s

ROUTE     LEADS TO     QUERIES
org       answer drop      999
.         pool dice          1
in total                 1,000
"
    );
    let all = StatsView { all: true, ..view }.lines(&counters(1), None);
    assert!(all.iter().any(|line| line.starts_with("not-ip ")), "{all:?}");
}

#[test]
fn rates_and_a_small_screen() {
    let view = StatsView { all: false, height: Some(12), style: Style::PLAIN };
    assert_eq!(
        format!("\n{}\n", view.lines(&counters(3), Some(&counters(1))).join("\n")),
        "
generation 3, 6,300 packets received by the fast path
slow path now: 3 TCP connections, 1 to backends, 2 queries in flight

FAST PATH        VERDICT  PACKETS  A SECOND
query-forwarded  forward    3,000     1,000
reply-forwarded  forward    3,000     1,000
newer                         300       100
in total                    6,300     2,100

SLOW PATH      COUNT  A SECOND
udp-forwarded     60        20
… and 2 more lines
"
    );
}
