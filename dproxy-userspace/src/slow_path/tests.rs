//! One slow path takes another's place.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use super::testing::{PATIENCE, config, free_address, options, query, response, serve, view, wait_for};
use super::{Limits, Reason, SlowPath};
use crate::config::Config;

/// Takes the place of a slow path as the engine has it done.
fn renew(old: SlowPath, config: &Config, limits: Limits) -> SlowPath {
    let new = old.renew(&options(config, limits)).unwrap();
    new.publish(view(config));
    old.retire();
    new
}

fn config_of(listeners: &[SocketAddr], backend: SocketAddr) -> Config {
    let text = format!("[pools.pool]\nbackends = [\"{backend}\"]\n[routes]\n\"a.test\" = \"pool\"\n");
    config(listeners, &text)
}

fn workers(workers: usize) -> Limits {
    Limits { workers, timeout: PATIENCE, idle_timeout: 2 * PATIENCE, ..Limits::for_tests() }
}

/// A backend that takes its time with each reply.
fn slow_backend(delay: Duration) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let replies = socket.try_clone().unwrap();
    let (hand_over, queue) = std::sync::mpsc::channel::<(Instant, Vec<u8>, SocketAddr)>();
    thread::spawn(move || {
        for (due, reply, to) in queue {
            sleep(due.saturating_duration_since(Instant::now()));
            let _ = replies.send_to(&reply, to);
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = hand_over.send((Instant::now() + delay, response(&buffer[..length]), from));
        }
    });
    address
}

/// Asks steadily while `meanwhile` runs, from many ports, and returns how many queries had no answer, of all.
fn unanswered(
    slow_path: SlowPath,
    listener: SocketAddr,
    meanwhile: impl FnOnce(SlowPath) -> SlowPath,
) -> (usize, usize) {
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let asking = thread::spawn(move || {
        let sockets: Vec<UdpSocket> = (0..16)
            .map(|_| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(listener).unwrap();
                socket
            })
            .collect();
        let mut asked = 0;
        while stopped.try_recv().is_err() && asked < 20_000 {
            sockets[usize::from(asked) % 16].send(&query(asked, "a.test", 1)).unwrap();
            asked += 1;
            sleep(Duration::from_micros(200));
        }
        let mut left: BTreeSet<u16> = (0..asked).collect();
        let mut answer = [0; 512];
        for (place, socket) in sockets.iter().enumerate() {
            socket.set_read_timeout(Some(PATIENCE / 2)).unwrap();
            while left.iter().any(|id| usize::from(*id) % 16 == place) && socket.recv(&mut answer).is_ok() {
                left.remove(&u16::from_be_bytes([answer[0], answer[1]]));
            }
        }
        (left.len(), asked.into())
    });
    let slow_path = meanwhile(slow_path);
    sleep(Duration::from_millis(50));
    stop.send(()).unwrap();
    let result = asking.join().unwrap();
    drop(slow_path);
    result
}

#[test]
fn no_query_over_udp_is_lost_when_the_slow_path_is_renewed() {
    let (listener, other) = (free_address(), free_address());
    let backend = slow_backend(Duration::from_millis(20));
    let (one, both) = (config_of(&[listener], backend), config_of(&[other, listener], backend));
    let (lost, all) = unanswered(serve(&one, workers(2)), listener, |mut slow_path| {
        // The same, more, and fewer of each.
        for (config, number) in [(&one, 2), (&both, 2), (&both, 4), (&one, 3), (&one, 1), (&one, 2)] {
            sleep(Duration::from_millis(100));
            slow_path = renew(slow_path, config, workers(number));
        }
        slow_path
    });
    assert_eq!(lost, 0, "of {all}");
}

#[test]
fn no_query_is_lost_when_the_change_is_not_made_after_all() {
    let listener = free_address();
    let config = config_of(&[listener], slow_backend(Duration::from_millis(20)));
    let (lost, all) = unanswered(serve(&config, workers(2)), listener, |slow_path| {
        for number in [2, 4, 1] {
            sleep(Duration::from_millis(50));
            let renewed = slow_path.renew(&options(&config, workers(number))).unwrap();
            sleep(Duration::from_millis(50));
            renewed.retire();
        }
        slow_path
    });
    assert_eq!(lost, 0, "of {all}");
}

fn ask(stream: &mut TcpStream, message: &[u8]) {
    stream.write_all(&[&(message.len() as u16).to_be_bytes(), message].concat()).unwrap();
}

fn receive(stream: &mut TcpStream) -> Option<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

#[test]
fn a_query_over_tcp_that_is_pending_when_the_slow_path_is_renewed_is_answered() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = free_address();
    let config = config_of(&[listener], server.local_addr().unwrap());
    let old = serve(&config, workers(1));
    let mut idle = TcpStream::connect(listener).unwrap();
    let mut client = TcpStream::connect(listener).unwrap();
    wait_for(&old, Reason::ConnectionAccepted, 2);
    let message = query(7, "a.test", 1);
    ask(&mut client, &message);
    let mut backend = server.accept().unwrap().0;
    let asked = receive(&mut backend).unwrap();

    let new = renew(old, &config, workers(1));
    assert_eq!(receive(&mut idle), None, "it can ask the new one");
    ask(&mut backend, &response(&asked));
    assert_eq!(receive(&mut client), Some(response(&message)));
    assert_eq!(receive(&mut client), None, "it is idle then");
    assert!(TcpStream::connect(listener).is_ok());
    wait_for(&new, Reason::ConnectionAccepted, 1);
}

#[test]
fn an_end_does_not_wait_for_idle_clients() {
    let listener = free_address();
    let slow_path = serve(&config_of(&[listener], free_address()), workers(1));
    let _idle = TcpStream::connect(listener).unwrap();
    wait_for(&slow_path, Reason::ConnectionAccepted, 1);
    let start = Instant::now();
    drop(slow_path);
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[test]
fn an_address_that_was_just_given_up_can_be_had_again() {
    let (listener, other) = (free_address(), free_address());
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let backend = silent.local_addr().unwrap();
    let (one, both) = (config_of(&[listener], backend), config_of(&[other, listener], backend));
    let old = serve(&both, workers(1));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(&query(1, "a.test", 1), other).unwrap();
    wait_for(&old, Reason::UdpForwarded, 1);
    // The query is waited for, with the socket.
    let slow_path = renew(old, &one, workers(1));
    let slow_path = renew(slow_path, &both, workers(1));
    let start = Instant::now();
    // The first ones may still go to the old one.
    while slow_path.counters().reasons[Reason::UdpForwarded as usize] == 0 {
        assert!(start.elapsed() < PATIENCE, "nothing comes");
        client.send_to(&query(2, "a.test", 1), other).unwrap();
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_thread_comes_round_though_nobody_asks() {
    let listener = free_address();
    let config = config_of(&[listener], slow_backend(Duration::ZERO));
    let slow_path = SlowPath::start(&options(&config, workers(2))).unwrap();
    slow_path.publish(view(&config));
    let before = slow_path.pulses();
    let names: Vec<_> = before.iter().map(|pulse| pulse.thread.as_str()).collect();
    assert_eq!(names, ["slow-udp-0", "slow-tcp-0", "slow-udp-1", "slow-tcp-1"]);
    let (begin, mut ahead) = (Instant::now(), 0);
    while ahead < before.len() {
        assert!(begin.elapsed() < PATIENCE, "{before:?}, and then {:?}", slow_path.pulses());
        sleep(Duration::from_millis(10));
        ahead =
            before.iter().zip(slow_path.pulses()).filter(|(before, now)| before.turns < now.turns).count();
    }
}
