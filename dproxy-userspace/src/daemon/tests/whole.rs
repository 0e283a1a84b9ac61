//! Whole configurations, the way back, and what is on the disk.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::api::{ApiError, Code};
use crate::config::{Config, Target};
use crate::control::Capacity;
use crate::daemon::fake::{self, FakeSlowPath};
use crate::daemon::whole::Wanted;
use crate::daemon::{Edit, EditError, Engine, Who};
use crate::state::Store;

fn wanted(config: Config) -> Wanted {
    let source = "a test".to_owned();
    Wanted { config, source, who: Who::Signal, generation: None, confirm: None, discard_edits: false }
}

/// The fake's configuration with something else at the end of its routes.
fn other(pattern: &str, target: &str) -> Config {
    let mut config = fake::config();
    config.routes.insert(pattern.parse().unwrap(), Target::from_word(target));
    config
}

fn route(pattern: &str, target: &str) -> Edit {
    Edit::SetRoute { pattern: pattern.parse().unwrap(), target: Target::from_word(target) }
}

/// What a start would go on with.
fn on_the_disk(proxy: &FakeSlowPath) -> (u64, Config) {
    // The engine has the lock of the folder itself.
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("generations")).unwrap();
    for entry in fs::read_dir(proxy.seen().state.path().join("generations")).unwrap().flatten() {
        fs::copy(entry.path(), copy.path().join("generations").join(entry.file_name())).unwrap();
    }
    let loaded = Store::open(copy.path()).unwrap().newest().unwrap().unwrap();
    (loaded.header.generation, loaded.config)
}

async fn engine() -> (Engine, fake::FakeDatapath, FakeSlowPath) {
    let (engine, datapath, proxy, _) = fake::engine_of(fake::config()).await;
    (engine, datapath, proxy)
}

#[tokio::test]
async fn what_is_answered_is_on_the_disk() {
    let (mut engine, datapath, proxy) = engine().await;
    assert_eq!(on_the_disk(&proxy), (1, fake::config()));
    engine.edit(&route("new.example", "dice")).await.unwrap();
    assert_eq!(on_the_disk(&proxy), (2, engine.config.clone()));
    engine.apply(Wanted { discard_edits: true, ..wanted(other("other.example", "cryo")) }).await.unwrap();
    assert_eq!(on_the_disk(&proxy), (3, other("other.example", "cryo")));
    assert_eq!(datapath.generation(), 3);
    engine.roll_back(Some(2), Who::Daemon, None).await.unwrap();
    let expected = other("new.example", "dice");
    assert_eq!((on_the_disk(&proxy), engine.config.clone()), ((4, expected.clone()), expected));
}

#[tokio::test]
async fn what_cannot_be_written_does_not_get_in_force() {
    let (mut engine, datapath, proxy) = engine().await;
    let folder = proxy.seen().state.path().join("generations");
    let away = proxy.seen().state.path().join("away");
    fs::rename(&folder, &away).unwrap();
    let error: ApiError = engine.edit(&route("new.example", "dice")).await.unwrap_err().into();
    assert_eq!((error.code, error.status), (Code::Storage, 507), "{error}");
    engine.apply(wanted(other("other.example", "cryo"))).await.unwrap_err();
    engine.roll_back(None, Who::Daemon, None).await.unwrap_err();
    assert_eq!((datapath.generation(), engine.generation), (1, 1));
    assert_eq!(engine.config, fake::config());

    fs::rename(&away, &folder).unwrap();
    engine.edit(&route("new.example", "dice")).await.unwrap();
    assert_eq!(on_the_disk(&proxy), (2, other("new.example", "dice")));
}

#[tokio::test]
async fn an_apply_that_changes_nothing_makes_no_generation() {
    let (mut engine, datapath, _) = engine().await;
    let applied = engine.apply(wanted(fake::config())).await.unwrap();
    assert_eq!((applied.changed, applied.generation, datapath.generation()), (false, 1, 1));
}

#[tokio::test]
async fn live_edits_are_not_lost_unasked() {
    let (mut engine, ..) = engine().await;
    engine.edit(&route("new.example", "dice")).await.unwrap();
    let drain = Edit::SetWeight {
        pool: "resolvers".to_owned(),
        address: "192.168.1.10:53".parse().unwrap(),
        weight: 7,
    };
    engine.edit(&drain).await.unwrap();
    let error = engine.apply(wanted(other("other.example", "cryo"))).await.unwrap_err();
    let EditError::WouldUndo(undone) = &error else { panic!("{error}") };
    assert_eq!(undone, &["pool resolvers", "route new.example"]);

    // A file that has them may do what it likes about the rest.
    let mut config = engine.config.clone();
    config.routes.insert("other.example".parse().unwrap(), Target::from_word("cryo"));
    engine.apply(wanted(config)).await.unwrap();
    assert_eq!(engine.life.live_edits, 0);
    engine.apply(wanted(fake::config())).await.unwrap();
}

#[tokio::test]
async fn nor_behind_a_way_back() {
    let (mut engine, ..) = engine().await;
    engine.edit(&route("new.example", "dice")).await.unwrap();
    let confirm = Some(Duration::from_secs(600));
    let whole = || wanted(other("other.example", "cryo"));
    engine.apply(Wanted { confirm, discard_edits: true, ..whole() }).await.unwrap();
    engine.take_back_unconfirmed().await;
    let undone = async |engine: &mut Engine| match engine.apply(whole()).await {
        Err(EditError::WouldUndo(undone)) => undone,
        applied => panic!("{applied:?}"),
    };
    assert_eq!(engine.life.live_edits, 1);
    assert_eq!(undone(&mut engine).await, ["route new.example"]);

    engine.edit(&route("bad.example", "dice")).await.unwrap();
    engine.roll_back(Some(2), Who::Daemon, None).await.unwrap();
    assert_eq!(engine.life.live_edits, 1);
    assert_eq!(undone(&mut engine).await, ["route new.example"]);
    engine.roll_back(Some(1), Who::Daemon, None).await.unwrap();
    assert_eq!(engine.life.live_edits, 0);
    engine.apply(whole()).await.unwrap();
}

#[tokio::test]
async fn back_is_to_another_configuration() {
    let (mut engine, ..) = engine().await;
    engine.edit(&route("new.example", "dice")).await.unwrap();
    let confirm = Some(Duration::from_secs(600));
    let whole = wanted(other("other.example", "cryo"));
    engine.apply(Wanted { confirm, discard_edits: true, ..whole }).await.unwrap();
    engine.take_back_unconfirmed().await;
    // Now generation 4 is generation 2 once more.
    assert!(engine.roll_back(None, Who::Daemon, None).await.unwrap().changed);
    assert_eq!(engine.config, fake::config());
}

#[tokio::test]
async fn who_was_too_late_is_told_what_has_changed() {
    let (mut engine, ..) = engine().await;
    engine.edit(&route("new.example", "dice")).await.unwrap();
    let late = Wanted { generation: Some(1), discard_edits: true, ..wanted(fake::config()) };
    let error = engine.apply(late).await.unwrap_err().to_string();
    assert!(error.contains("set route new.example to pool \"dice\", by dproxy"), "{error}");
    assert!(engine.roll_back(Some(1), Who::Daemon, Some(1)).await.is_err());
    engine.roll_back(Some(1), Who::Daemon, Some(2)).await.unwrap();
}

#[tokio::test]
async fn what_nobody_confirms_goes_away() {
    let (mut engine, datapath, proxy) = engine().await;
    let new = other("other.example", "cryo");
    let confirm = Some(Duration::from_millis(50));
    let applied = engine.apply(Wanted { confirm, ..wanted(new.clone()) }).await.unwrap();
    assert!(applied.confirm_until.is_some());
    assert_eq!((engine.config.clone(), on_the_disk(&proxy)), (new, (1, fake::config())));
    let error: ApiError = engine.edit(&route("new.example", "dice")).await.unwrap_err().into();
    assert_eq!(error.code, Code::Unconfirmed);
    fake::beside(engine, async |handle| {
        while handle.look(|engine| engine.unconfirmed.is_some()).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let status = handle.look(|engine| engine.status()).await.unwrap().unwrap();
        let why = "back to generation 1, since nobody confirmed generation 2 within 50ms";
        assert_eq!((status.generation, status.notes), (3, vec![why.to_owned()]));
        assert!(handle.confirm(Who::Daemon, None).await.is_err());
        handle.edit(route("new.example", "dice"), Who::Daemon, None).await.unwrap();
    })
    .await;
    assert_eq!(datapath.generation(), 4);
    assert_eq!(on_the_disk(&proxy), (4, other("new.example", "dice")));
}

#[tokio::test]
async fn what_somebody_confirms_stays() {
    let (mut engine, _, proxy) = engine().await;
    let new = other("other.example", "cryo");
    let confirm = Some(Duration::from_secs(600));
    engine.apply(Wanted { confirm, ..wanted(new.clone()) }).await.unwrap();
    assert!(engine.apply(wanted(fake::config())).await.is_err(), "one at a time");
    engine.confirm(&Who::Daemon, Some(2)).unwrap();
    assert_eq!((engine.config.clone(), on_the_disk(&proxy)), (new.clone(), (2, new)));
    engine.edit(&route("new.example", "dice")).await.unwrap();

    let confirm = Some(Duration::from_secs(600));
    engine.apply(Wanted { confirm, discard_edits: true, ..wanted(fake::config()) }).await.unwrap();
    engine.roll_back(None, Who::Daemon, None).await.unwrap();
    assert!(engine.unconfirmed.is_none(), "a rollback does not wait");
    assert_eq!(on_the_disk(&proxy), (5, engine.config.clone()));
}

#[tokio::test]
async fn going_back_from_what_is_unconfirmed_takes_no_disk() {
    let (mut engine, datapath, proxy) = engine().await;
    let confirm = Some(Duration::from_secs(600));
    engine.apply(Wanted { confirm, ..wanted(other("other.example", "cryo")) }).await.unwrap();
    let folder = proxy.seen().state.path().join("generations");
    fs::rename(&folder, folder.with_extension("away")).unwrap();
    engine.take_back_unconfirmed().await;
    assert_eq!((engine.config.clone(), engine.unconfirmed.is_none()), (fake::config(), true));
    assert_eq!(datapath.generation(), 3);
}

#[tokio::test]
async fn tables_grow_when_routes_do_not_fit() {
    let (mut engine, datapath, _) = engine().await;
    let large = datapath.tables().capacity;
    datapath.tables().capacity = Capacity { routes: 8, ..large };
    let mut config = fake::config();
    for number in 0..100 {
        config.routes.insert(format!("n{number}.example").parse().unwrap(), Target::from_word("cryo"));
    }
    engine.apply(wanted(config.clone())).await.unwrap();
    let enlarged = datapath.tables().enlarged;
    let capacity = datapath.tables().capacity;
    assert_eq!((enlarged, capacity.routes), (1, 128));
    assert_eq!((engine.config.clone(), engine.generation), (config, 2));
    datapath.route_id("n99.example");
}

#[tokio::test]
async fn tables_grow_when_there_are_no_ids_for_those_that_others_replace() {
    let (mut engine, datapath, _) = engine().await;
    let large = datapath.tables().capacity;
    datapath.tables().capacity = Capacity { routes: 64, route_ids: 24, ..large };
    let with = |letter: &str| {
        let mut config = fake::config();
        for number in 0..5 {
            let name = format!("{letter}{number}.example");
            config.routes.insert(format!("={name}").parse().unwrap(), Target::from_word("cryo"));
            config.routes.insert(format!("*.{name}").parse().unwrap(), Target::from_word("dice"));
        }
        config
    };
    engine.apply(wanted(with("a"))).await.unwrap();
    assert_eq!(datapath.tables().enlarged, 0);
    engine.apply(wanted(with("b"))).await.unwrap();
    assert_eq!((datapath.tables().enlarged, engine.config.clone()), (1, with("b")));
    datapath.route_id("*.b4.example");
}

#[tokio::test]
async fn another_listener_takes_another_slow_path() {
    let (mut engine, _, proxy) = engine().await;
    let mut config = fake::config();
    config.listen.edns_udp_size = None;
    engine.apply(wanted(config.clone())).await.unwrap();
    assert!(proxy.seen().renewed.is_empty());
    config.listen.addresses.push("192.0.2.54:53".parse().unwrap());
    engine.apply(wanted(config.clone())).await.unwrap();
    assert_eq!(proxy.seen().renewed, [config.listen.addresses]);
}

#[tokio::test]
async fn records_stay_few_and_short() {
    let (mut engine, _, proxy) = engine().await;
    for number in 0..300 {
        let edit = route(&format!("n{}.example", number % 7), ["dice", "cryo"][number % 2]);
        engine.edit(&edit).await.unwrap();
        engine.tidy_records();
    }
    let records = |path: &Path| fs::read_dir(path.join("generations")).unwrap().count();
    assert!(records(proxy.seen().state.path()) < 200);
    assert_eq!(on_the_disk(&proxy), (301, engine.config.clone()));
    assert_eq!(engine.life.live_edits, 300);
}
