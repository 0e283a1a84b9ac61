//! Whatever is thrown at the socket, for a few seconds: the daemon goes on, and nothing has changed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use super::{Daemon, with_daemon};

const LONG: Duration = Duration::from_secs(5);
/// Peers at a time.
const PEERS: usize = 8;

/// Random numbers that can be drawn again: Marsaglia's xorshift64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }

    fn octets(&mut self, most: usize) -> Vec<u8> {
        let length = self.roll(most + 1);
        (0..length).map(|_| self.roll(256) as u8).collect()
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

const METHODS: [&str; 9] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "BREW"];
const PATHS: [&str; 18] = [
    "/v1/status",
    "/v1/routes",
    "/v1/routes/nonesuch.example",
    "/v1/names/nonesuch.example",
    "/v1/pools/nonesuch",
    "/v1/pools/nonesuch/switch",
    "/v1/pools/nonesuch/backends",
    "/v1/pools/nonesuch/backends/192.0.2.1",
    "/v1/plan",
    "/v1/apply?confirm=1s",
    "/v1/confirm",
    "/v1/rollback",
    "/v1/generations",
    "/v1/configuration",
    "/v1/explain?name=a",
    "/v1/stats",
    "/v1/%00%ff/../..",
    "*",
];
/// None of them can be done: what they are about does not exist.
const BODIES: [&str; 8] = [
    "",
    "{}",
    r#"{"pattern": "a.example", "pool": "nonesuch"}"#,
    r#"{"to": "nonesuch", "percent": 10}"#,
    r#"{"address": "192.0.2.1", "weight": 1}"#,
    r#"{"weight": 1, "drained": true}"#,
    r#"{"generation": 7}"#,
    "[listen]\naddresses = [\"192.0.2.53\"]\n[routes]\n\"a\" = \"nonesuch\"\n",
];

fn request(dice: &mut Dice) -> Vec<u8> {
    let body = match dice.roll(10) {
        0 => dice.octets(300),
        // As deep as fits.
        1 => "[".repeat(dice.roll(70_000)).into(),
        2 => "{\"a\":".repeat(dice.roll(10_000)).into(),
        _ => dice.of(&BODIES).into(),
    };
    let length = match dice.roll(6) {
        0 => dice.of(&["-1", "x", "99999999999999999999999", "1000000000", "0", ""]).to_owned(),
        1 => (body.len() + dice.roll(9)).to_string(),
        _ => body.len().to_string(),
    };
    let more = match dice.roll(12) {
        0 => format!("x: {}\r\n", "y".repeat(dice.roll(600_000))),
        1 => "a: b\r\n".repeat(dice.roll(3000)),
        2 => "transfer-encoding: chunked\r\n".to_owned(),
        3 => "expect: 100-continue\r\n".to_owned(),
        4 => "if-match: \"\u{fc}\", 7\r\n".to_owned(),
        5 => "upgrade: h2c\r\nconnection: upgrade\r\n".to_owned(),
        6 => " folded: x\r\n\tmore\r\n".to_owned(),
        _ => String::new(),
    };
    let (method, path) = (dice.of(&METHODS), dice.of(&PATHS));
    let version = dice.of(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "SMTP"]);
    let head = format!("{method} {path} {version}\r\nhost: x\r\n{more}content-length: {length}\r\n\r\n");
    let mut octets = [head.into_bytes(), body].concat();
    match dice.roll(4) {
        0 => {
            for _ in 0..=dice.roll(5) {
                let index = dice.roll(octets.len());
                octets[index] = dice.roll(256) as u8;
            }
        }
        1 => octets.truncate(dice.roll(octets.len())),
        _ => {}
    }
    octets
}

/// Sends requests one after the other, and leaves in one way or another.
async fn peer(daemon: &Daemon, dice: &mut Dice) {
    let mut stream = UnixStream::connect(daemon.socket()).await.unwrap();
    for _ in 0..=dice.roll(3) {
        let octets = if dice.roll(10) == 0 { dice.octets(2000) } else { request(dice) };
        let piece = if dice.roll(8) == 0 { 1 + dice.roll(50) } else { octets.len().max(1) };
        for octets in octets.chunks(piece).take(200) {
            // Who is sent away may not get rid of all.
            if timeout(Duration::from_millis(100), stream.write_all(octets)).await.is_err() {
                return;
            }
            if piece < 50 {
                sleep(Duration::from_micros(100)).await;
            }
        }
        if dice.roll(4) > 0 {
            let _ = timeout(Duration::from_millis(20), stream.read(&mut [0; 4096])).await;
        }
    }
    if dice.roll(2) == 0 {
        // Half closed: it may still want to read.
        let _ = stream.shutdown().await;
        let _ = timeout(Duration::from_millis(20), stream.read_to_end(&mut Vec::new())).await;
    }
}

#[tokio::test]
async fn whatever_comes_harms_nobody() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    println!("seed {seed}");
    with_daemon(async |daemon| {
        let begin = Instant::now();
        let peers = (0..PEERS).map(async |number| {
            let mut dice = Dice(seed.wrapping_mul(2 * number as u64 + 1));
            let mut sent = 0;
            while begin.elapsed() < LONG {
                peer(daemon, &mut dice).await;
                sent += 1;
            }
            sent
        });
        let sent: Vec<usize> = futures_util::future::join_all(peers).await;
        println!("{} connections", sent.iter().sum::<usize>());

        let begin = Instant::now();
        let status: Value = daemon.client.get("/v1/status").await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
        assert_eq!(status["generation"], 1);
        assert_eq!(daemon.datapath.generation(), 1, "nothing of it could be done");
    })
    .await;
}
