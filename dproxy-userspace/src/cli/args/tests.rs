use super::*;
use clap::CommandFactory;
use clap::error::ErrorKind;

fn parse(line: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(format!("dproxy {line}").split(' '))
}

#[test]
fn the_definitions_are_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_verb_is_understood() {
    for line in [
        "run",
        "run --config f.toml --log debug,dproxy_userspace=trace --socket /s",
        "run --state /var/lib/dproxy --log-format json",
        "detach",
        "detach --bpffs /sys/fs/bpf/dproxy",
        "detach --config f.toml",
        "plan",
        "plan --config f.toml --json",
        "apply",
        "apply --config f.toml --confirm 60s --generation 42 --json",
        "confirm --generation 42 --json",
        "rollback",
        "rollback 41 --generation 43",
        "history --json",
        "save",
        "save --config f.toml --stdout",
        "run --log info,packets=trace --log-format json",
        "check --config f.toml",
        "import dproxy /srv/dproxy",
        "import dproxy . --interface eth0 --interface eth1 --listen 192.0.2.53 --output f.toml --force",
        "status",
        "--socket /s status --json",
        "route list",
        "route show www.example.org --json",
        "route add *.example.org cryo",
        "route add =example.org drop --replace",
        "route remove .",
        "pool list",
        "pool show cryo",
        "pool add cryo --backend 192.0.2.1,3 --backend [2001:db8::1]:53 --policy maglev --hash client",
        "pool add cryo --backend 192.0.2.1,0 --backend 192.0.2.2 --primary 192.0.2.1 --proxy-protocol",
        "pool remove cryo --generation 7",
        "pool switch blue green",
        "pool switch blue green --percent 10 --force",
        "pool switch blue green --back --json",
        "backend list",
        "backend list cryo --json",
        "backend add cryo 192.0.2.1 --weight 7",
        "backend remove cryo 192.0.2.1:53",
        "backend weight cryo 192.0.2.1:53 0",
        "backend drain cryo 192.0.2.1:53 --generation 7",
        "backend enable cryo 192.0.2.1:53",
        "explain example.org",
        "explain example.org AAAA --from [2001:db8::1]:5353 --listener [2001:db8::53]:53",
        "stats --all",
        "stats --watch --interval 0.5",
    ] {
        if let Err(error) = parse(line) {
            panic!("dproxy {line}: {error}");
        }
    }
}

#[test]
fn misuse_is_refused() {
    for (line, kind) in [
        ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("frobnicate", ErrorKind::InvalidSubcommand),
        ("run --log dproxy=loud", ErrorKind::ValueValidation),
        ("run --log-format xml", ErrorKind::InvalidValue),
        ("import dproxy", ErrorKind::MissingRequiredArgument),
        ("import bind .", ErrorKind::InvalidSubcommand),
        ("import dproxy . --force", ErrorKind::MissingRequiredArgument),
        ("import dproxy . --listen eth0", ErrorKind::ValueValidation),
        ("run --log-format xml", ErrorKind::InvalidValue),
        ("status --generation 7", ErrorKind::UnknownArgument),
        ("apply --confirm soon", ErrorKind::ValueValidation),
        ("rollback last", ErrorKind::ValueValidation),
        ("detach --bpffs /x --config f.toml", ErrorKind::ArgumentConflict),
        ("pool switch blue green --percent 0", ErrorKind::ValueValidation),
        ("pool switch blue green --percent 10 --back", ErrorKind::ArgumentConflict),
        ("route add example.org", ErrorKind::MissingRequiredArgument),
        ("pool add cryo", ErrorKind::MissingRequiredArgument),
        ("pool add cryo --backend 192.0.2.1,many", ErrorKind::ValueValidation),
        ("backend weight cryo 192.0.2.1 -1", ErrorKind::UnknownArgument),
        ("backend weight cryo 192.0.2.1 70000", ErrorKind::ValueValidation),
        ("stats --watch --json", ErrorKind::ArgumentConflict),
        ("stats --interval 2", ErrorKind::MissingRequiredArgument),
        ("stats --watch --interval 0", ErrorKind::ValueValidation),
        ("stats --watch --interval NaN", ErrorKind::ValueValidation),
    ] {
        let arguments: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let error = Arguments::try_parse_from([&["dproxy"], &arguments[..]].concat()).unwrap_err();
        assert_eq!(error.kind(), kind, "dproxy {line}");
        assert_eq!(error.exit_code(), 2, "dproxy {line}");
    }
}

#[test]
fn a_member_is_an_address_and_perhaps_a_weight() {
    let member = |text: &str| text.parse::<Member>().map(|member| (member.address, member.weight));
    assert_eq!(member("192.0.2.1:53,3"), Ok(("192.0.2.1:53".to_owned(), Some(3))));
    assert_eq!(member("[2001:db8::1]:53"), Ok(("[2001:db8::1]:53".to_owned(), None)));
    assert!(member("192.0.2.1,").is_err());
}

#[test]
fn a_listener_of_an_import_has_a_port_if_it_is_given() {
    for (text, port) in [
        ("192.0.2.53", None),
        ("192.0.2.53:53", Some(53)),
        ("2001:db8::53", None),
        ("[2001:db8::53]", None),
        ("[2001:db8::53]:5353", Some(5353)),
    ] {
        assert_eq!(import::listener(text).unwrap().1, port, "{text}");
    }
}
