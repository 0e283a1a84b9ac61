//! Changes of the configuration under twenty thousand queries a second: none is lost, none is answered by anybody
//! whom no generation in force allowed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use dproxy_lab::{Balancer, skip_without_root};
use dproxy_tests::net::steady::{Api, Evidence, Periods, Stage, Timeline, Who};
use dproxy_tests::net::{B1, B1_V6, B2, B2_V6, B3, B3_V6};

/// The applies in a row.
const APPLIES: usize = 1000;
/// Live edits a second, and for how long.
const EDITS_A_SECOND: usize = 100;
const EDITING: usize = 10;
/// Connections that edit at a time.
const EDITORS: usize = 4;
/// Routes before the growth, and after it.
const FEW: usize = 1000;
const MANY: usize = 200_000;

/// Lets a stream run for a while without a change.
const QUIET: Duration = Duration::from_millis(300);

/// Three configuration files, and who may answer with each for the names of the stream.
fn files(stage: &Stage) -> [(String, [Who; 4]); 3] {
    let few = stage.configuration(
        &[("a", &[B1]), ("b", &[B2_V6]), ("c", &[B3])],
        &[(".", "a"), ("one.test", "b"), ("=two.test", "c")],
    );
    let balanced = stage.configuration(
        &[("a", &[B1]), ("b", &[B2, B3_V6]), ("c", &[B3])],
        &[(".", "b"), ("one.test", "a"), ("two.test", "refused")],
    );
    let others = stage.configuration(
        &[("d", &[B1_V6, B2]), ("c", &[B3])],
        &[(".", "d"), ("*.test", "c"), ("one.test", "d"), ("=two.test", "c")],
    );
    [
        (few, [Who::B, Who::C, Who::A, Who::SLOW]),
        (balanced, [Who::A, Who::REFUSED, Who::B | Who::C, Who::SLOW]),
        (others, [Who::A | Who::B, Who::C, Who::C, Who::SLOW]),
    ]
}

#[test]
fn a_thousand_applies_in_a_row() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-applies");
    let files = files(&stage);
    let balancer = stage.start(&files[0].0);
    let mut api = stage.api(&balancer);
    let mut timeline = Timeline::new(&files[0].1);
    let evidence = Evidence::so_far(&balancer);
    let steady = stage.ask(&["one.test", "two.test", "other.test"]);
    let begin = Instant::now();
    for number in 1..=APPLIES {
        let (file, allowed) = &files[number % files.len()];
        stage.write(file);
        let applied = timeline.change(allowed, || api.apply());
        assert_eq!(applied["changed"], true, "apply {number}: {applied}");
    }
    let took = begin.elapsed();
    sleep(QUIET);
    let ledger = steady.stop();
    let work = format!("{APPLIES} applies in {:.1} s", took.as_secs_f64());
    ledger.check(&work, &evidence.end(&balancer), &timeline);
}

/// The names that one editor edits, one after the other.
fn names_of(editor: usize) -> Vec<String> {
    (0..4).map(|number| format!("n{number}.e{editor}.test")).collect()
}

/// What an editor has done.
struct Edited {
    periods: Vec<Periods>,
    /// From the moment that an edit was due to its answer.
    took: Vec<Duration>,
}

/// Edits its names' routes at its times, however long each takes: add, re-target, and remove.
fn edit(mut api: Api, editor: usize, begin: Instant) -> Edited {
    let names = names_of(editor);
    let mut periods: Vec<Periods> = names.iter().map(|_| Periods::new(Who::A)).collect();
    let mut took = Vec::new();
    for number in (editor..EDITS_A_SECOND * EDITING).step_by(EDITORS) {
        let due = begin + Duration::from_secs(1) * number as u32 / EDITS_A_SECOND as u32;
        sleep(due.saturating_duration_since(Instant::now()));
        let own = number / EDITORS;
        let (name, step) = (own % names.len(), own / names.len());
        let path = format!("/v1/routes/{}", names[name]);
        let (method, body, allowed) = match step % 4 {
            0 => ("PUT", r#"{"pool": "b"}"#, Who::B),
            1 => ("PUT", r#"{"pool": "c"}"#, Who::C),
            2 => ("PUT", r#"{"answer": "refused"}"#, Who::REFUSED),
            _ => ("DELETE", "", Who::A),
        };
        let asked = Instant::now();
        let edited = api.request(method, &path, body);
        let acknowledged = Instant::now();
        assert_eq!(edited["changed"], true, "{method} {path}: {edited}");
        periods[name].change(allowed, (asked, acknowledged));
        took.push(acknowledged - due);
    }
    Edited { periods, took }
}

#[test]
fn a_hundred_live_edits_a_second() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-live");
    let balancer =
        stage.start(&stage.configuration(&[("a", &[B1]), ("b", &[B2]), ("c", &[B3_V6])], &[(".", "a")]));
    let names: Vec<String> = (0..EDITORS).flat_map(names_of).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let evidence = Evidence::so_far(&balancer);
    let steady = stage.ask(&names);
    let begin = Instant::now();
    let edited: Vec<Edited> = scope(|scope| {
        let editors = (0..EDITORS).map(|editor| (editor, stage.api(&balancer)));
        let editors = editors.map(|(editor, api)| scope.spawn(move || edit(api, editor, begin)));
        let editors: Vec<_> = editors.collect();
        editors.into_iter().map(|editor| editor.join().unwrap()).collect()
    });
    let took = begin.elapsed().as_secs_f64();
    sleep(QUIET);
    let ledger = steady.stop();
    let mut periods: Vec<Periods> = Vec::new();
    let mut times: Vec<Duration> = Vec::new();
    for Edited { periods: of_editor, took } in edited {
        periods.extend(of_editor);
        times.extend(took);
    }
    periods.push(Periods::new(Who::SLOW));
    times.sort();
    let (median, last) = (times[times.len() / 2], times[times.len() - 1]);
    let work = format!(
        "{} live edits in {took:.1} s over {EDITORS} connections, each answered within {median:.1?} (median) or {last:.1?} (at most) of when it was due",
        times.len()
    );
    ledger.check(&work, &evidence.end(&balancer), &Timeline(periods));
}

/// So many routes, as programs write them: one a line.
fn list(routes: usize) -> String {
    (0..routes).map(|number| format!("r{number}.list.test b\n")).collect()
}

#[test]
fn growth_from_a_thousand_to_two_hundred_thousand_routes() {
    if skip_without_root() {
        return;
    }
    let stage = Stage::new("e2e-growth");
    let routes = stage.file().with_file_name("list.routes");
    let config = stage.configuration(&[("a", &[B1]), ("b", &[B2])], &[(".", "a")]);
    let config = format!("include = [\"list.routes\"]\n{config}");
    fs::write(&routes, list(FEW)).unwrap();
    let balancer = stage.start(&config);
    let mut api = stage.api(&balancer);
    // There all the time; there for a time; never there.
    let names = ["r7.list.test", "r199999.list.test", "r1000.list.test", "other.test"];
    let (few, many) =
        ([Who::B, Who::A, Who::A, Who::A, Who::SLOW], [Who::B, Who::B, Who::B, Who::A, Who::SLOW]);
    let mut timeline = Timeline::new(&few);
    let evidence = Evidence::so_far(&balancer);
    let steady = stage.ask(&names);
    sleep(QUIET);
    let mut change = |count: usize, allowed: &[Who]| {
        fs::write(&routes, list(count)).unwrap();
        let begin = Instant::now();
        let applied = timeline.change(allowed, || api.apply());
        assert_eq!(applied["changed"], true, "apply of {count} routes: {applied}");
        let took = begin.elapsed();
        sleep(QUIET);
        took
    };
    let growth = change(MANY, &many);
    assert_eq!(routes_of(&balancer), MANY + 2, "routes in force");
    let shrinking = change(FEW, &few);
    let ledger = steady.stop();
    let work = format!("{FEW} to {MANY} routes in {growth:.1?}, and back in {shrinking:.1?}");
    ledger.check(&work, &evidence.end(&balancer), &timeline);
    assert_eq!(routes_of(&balancer), FEW + 2, "routes in force");
}

fn routes_of(balancer: &Balancer) -> usize {
    let status = balancer.cli(&["status"]).unwrap();
    usize::try_from(status["routes"].as_u64().unwrap()).unwrap()
}
