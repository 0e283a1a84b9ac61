//! Several operators, and those who are none; and who did what.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use dproxy_lab::{default_binary, skip_without_root};
use dproxy_tests::frames::wire_name;
use dproxy_tests::net::{
    B1, B2, Operator, Site, become_nobody, configuration, end, finish, shown, tables, wait_until,
};
use nix::sys::signal::Signal;

const PATIENCE: Duration = Duration::from_secs(10);
/// Edits that each of two operators makes.
const EDITS: usize = 20;

fn pools_and_routes() -> String {
    tables(&[("a", B1), ("b", B2)], &[(".", "a")])
}

#[test]
fn of_two_operators_one_is_refused_and_nothing_is_lost() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-operators", &pools_and_routes());
    let operator = Operator::of(&site.balancer);
    let generation = operator.generation();
    operator.does(&format!("route add one.test b --generation {generation}"));
    operator.does(&format!("backend weight a {B1} 3"));
    for command in ["route add two.test b", "pool switch a b", "rollback", "apply"] {
        let error = operator.is_refused(
            &format!("{command} --generation {generation}"),
            &format!("is made for generation {generation}, but generation {} is in force", generation + 2),
        );
        for what in [
            "add route one.test to pool \"b\", by root",
            "set weight of backend 10.53.1.10:53 of pool \"a\" to 3",
        ] {
            assert!(error.contains(what), "it says what has changed since: {error}");
        }
    }
    assert_eq!(operator.generation(), generation + 2, "a refused edit makes no generation");
    operator.does(&format!("route add two.test b --generation {}", generation + 2));

    // Both look, edit what they have seen, and look again if they are refused.
    let edit = |who: &str| {
        let mut refused = 0;
        for number in 0..EDITS {
            loop {
                let seen = operator.generation();
                let edit = format!("route add {who}{number}.test b --generation {seen}");
                let ended = finish(&mut operator.command(&edit), PATIENCE);
                match ended.code {
                    Some(0) => break,
                    _ => ended.assert_one_error(&edit, "is in force"),
                }
                refused += 1;
            }
        }
        refused
    };
    let (left, right) = thread::scope(|scope| {
        let left = scope.spawn(|| edit("left"));
        (edit("right"), left.join().unwrap())
    });
    println!("  {} edits by two operators, {} refused and made again", 2 * EDITS, left + right);
    let running = operator.configuration();
    let mut asker = site.askers();
    for name in ["one.test".to_owned(), "two.test".to_owned()]
        .into_iter()
        .chain((0..EDITS).flat_map(|number| ["left", "right"].map(|who| format!("{who}{number}.test"))))
    {
        assert!(running.contains(&format!("\"{name}\" = \"b\"")), "{name} is lost: {running}");
        assert_eq!(asker[0].who(&wire_name(&name)), "b", "{name}");
    }
    assert_eq!(operator.generation(), generation + 3 + 2 * EDITS as u64, "a generation each");
}

#[test]
fn who_may_not_use_the_socket_gets_one_clear_line() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-nobody", &pools_and_routes());
    let binary = File::open(default_binary().unwrap()).unwrap();
    let socket = site.balancer.socket();
    for command in ["status", "route add x.test b", "confirm", "plan"] {
        let mut line = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()));
        line.arg("--socket").arg(socket).args(command.split(' '));
        become_nobody(&mut line, &binary);
        let ended = shown(&format!("{command} (as nobody)"), finish(&mut line, PATIENCE));
        ended.assert_one_error(command, &socket.display().to_string());
        assert_eq!(ended.error.lines().count(), 1, "one line: {}", ended.error);
        assert!(
            ended.error.contains("become root, or a member of the socket's group"),
            "it says who may: {}",
            ended.error
        );
    }
    let before = Operator::of(&site.balancer).generation();
    assert_eq!(before, 1, "nothing has changed");
}

/// Everything that makes a generation: a command or a signal, and what the log and the history say about it.
#[test]
fn the_log_and_the_history_say_who_did_what() {
    if skip_without_root() {
        return;
    }
    let site = Site::new("e2e-audit", &pools_and_routes());
    let operator = Operator::of(&site.balancer);
    let file = |routes: &[(&str, &str)]| {
        let tables = tables(&[("a", B1), ("b", B2)], &[&[(".", "a")], routes].concat());
        fs::write(site.balancer.config(), configuration(&site.topology, "native", &tables)).unwrap();
    };
    let log_file = site.topology.instance().folder().join("dproxy.log");
    let mut expected = vec![(1, "dproxy", "start", "start with ")];
    let changes = [
        ("route add x.test b", "edit", "add route x.test to pool \"b\""),
        ("route add x.test nxdomain --replace", "edit", "set route x.test to answer nxdomain"),
        ("route remove x.test", "edit", "remove route x.test"),
        ("pool add c --backend 10.53.3.10 --backend 10.53.2.10", "edit", "add pool \"c\" with 2 backends"),
        ("backend add a 10.53.3.10 --weight 2", "edit", "add backend 10.53.3.10:53 to pool \"a\", weight 2"),
        ("backend weight a 10.53.3.10 3", "edit", "set weight of backend 10.53.3.10:53 of pool \"a\" to 3"),
        ("backend drain a 10.53.3.10", "edit", "drain backend 10.53.3.10:53 of pool \"a\""),
        ("backend enable a 10.53.3.10", "edit", "enable backend 10.53.3.10:53 of pool \"a\""),
        ("backend remove a 10.53.3.10", "edit", "remove backend 10.53.3.10:53 from pool \"a\""),
        ("pool remove c", "edit", "remove pool \"c\""),
        ("pool switch a b --percent 10", "switch", "switch 10 % of the clients of pool \"a\" to \"b\""),
        ("pool switch a b --back", "switch", "take back the switch of pool \"a\" to \"b\""),
        ("pool switch a b", "switch", "switch pool \"a\" to \"b\""),
        ("apply --discard-edits", "apply", "apply "),
        ("rollback", "rollback", "roll back to generation 14"),
        ("rollback 1", "rollback", "roll back to generation 1"),
    ];
    for (number, (command, kind, what)) in changes.into_iter().enumerate() {
        operator.does(command);
        expected.push((number as u64 + 2, "root (process ", kind, what));
    }
    file(&[("h.test", "b")]);
    end(site.balancer.pid(), Signal::SIGHUP);
    wait_until("SIGHUP to be obeyed", PATIENCE, || operator.generation() == 18);
    expected.push((18, "SIGHUP", "apply", "apply "));
    file(&[("h.test", "a")]);
    operator.does("apply --confirm 1s");
    operator.does("confirm");
    expected.push((19, "root (process ", "apply", "apply "));
    file(&[("h.test", "b")]);
    operator.does("apply --confirm 1s");
    wait_until("the way back", PATIENCE, || operator.generation() == 21);
    expected.push((
        21,
        "dproxy",
        "rollback",
        "back to generation 19, since nobody confirmed generation 20 within 1s",
    ));

    let (history, log) = (operator.does("history"), fs::read_to_string(log_file).unwrap());
    println!("{log}");
    for (generation, by, kind, what) in expected {
        let row = history.lines().find(|row| row.split_whitespace().next() == Some(&generation.to_string()));
        let row = row.unwrap_or_else(|| panic!("generation {generation} is missing: {history}"));
        for part in [by, kind, what] {
            assert!(row.contains(part), "generation {generation}: `{part}` is not in: {row}");
        }
        let logged = log.lines().any(|line| {
            line.contains(what)
                && line.contains(&format!("generation={generation}"))
                && line.contains(&format!("by={by}"))
        });
        assert!(logged, "generation {generation} is not in the log: {what}");
    }
    assert!(log.lines().any(|line| line.contains("confirmed") && line.contains("generation=19")), "{log}");
}
