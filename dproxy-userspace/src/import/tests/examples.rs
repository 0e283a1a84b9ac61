//! The original's own files, and what people may have made of them.

use super::*;

#[test]
fn the_files_that_the_original_comes_with() {
    let cryo = "[*.cryo.network]\n\taddress\t\t= 192.168.1.9\n\tport\t\t= 8053\n\n\
                [cryo.network]\n\taddress\t\t= 192.168.1.9\n\tport\t\t= 8053\n";
    let nsproxy = cryo.replace("cryo.network", "unixvoid.com").replace("8053", "8054");
    let converted = import(SETTINGS, &[("cryo.network.prox", cryo), ("nsproxy.prox", &nsproxy)]).unwrap();
    assert_eq!(converted.to_toml(), include_str!("examples/original.toml"));
    Config::parse(&converted.to_toml(), "converted").unwrap();
    assert_eq!(converted.summary(), "3 routes, 3 pools; 6 notes");
}

#[test]
fn a_name_and_all_below_it_are_one_route_if_they_lead_to_the_same() {
    let text = |port| {
        format!("[*.a.test]\naddress = 10.0.0.1\nport = 53\n[a.test]\naddress = 10.0.0.1\nport = {port}")
    };
    assert_eq!(shown(&routes(&text(53))), ["a.test 10.0.0.1:53"]);
    assert_eq!(shown(&routes(&text(54))), ["=a.test 10.0.0.1:54", "*.a.test 10.0.0.1:53"]);
}

#[test]
fn wildcards_go_before_exact_names() {
    let text = "[*.a.test]\naddress = 10.0.0.1\nport = 53\n\
                [mail.a.test]\naddress = 10.0.0.2\nport = 53\n\
                [a.test]\naddress = 10.0.0.2\nport = 53\n\
                [mail.b.test]\naddress = 10.0.0.2\nport = 53\n";
    let converted = routes(text);
    assert_eq!(
        shown(&converted),
        ["=a.test 10.0.0.2:53", "*.a.test 10.0.0.1:53", "=mail.b.test 10.0.0.2:53"]
    );
    assert_eq!(
        notes(&converted),
        [":4: mail.a.test. (address 10.0.0.2, port 53) had no effect, and is left out: in the original \
          *.a.test. goes before every name below it."]
    );
}

#[test]
fn what_never_applied_is_left_out() {
    for (name, why) in [
        ("*.co.uk.test", "in the original a wildcard works only in front of two labels: *.example.com"),
        ("*.test", "in the original a wildcard works only in front of two labels: *.example.com"),
        ("*", "in the original a wildcard works only in front of two labels: *.example.com"),
        (".", "the original does not answer queries for the root at all"),
        (r"a\.b.test", "the original compares names as text, so that escapes seldom work"),
        ("a..test", "no query has such a name: name \"a..test.\" has an empty label"),
    ] {
        let converted = routes(&format!("[{name}]\naddress = 10.0.0.1\nport = 53\n"));
        assert_eq!(shown(&converted), [""; 0], "{name}");
        let [note] = notes(&converted).try_into().unwrap();
        assert!(note.starts_with(":1: ") && note.contains(why), "{name}: {note}");
    }
}

#[test]
fn entries_that_lack_something() {
    for (text, expected, why) in [
        ("[*.a.test]\naddress = 10.0.0.1", &["*.a.test servfail"][..], "has no port"),
        ("[*.a.test]\nport = 53", &[], "it has no address"),
        ("[a.test]\naddress = 10.0.0.1", &[], "it has no port"),
        ("[a.test]\nport = 8053", &["=a.test 127.0.0.1:8053"], "its own host"),
        ("[a.test]\naddress =\nport = 8053", &["=a.test 127.0.0.1:8053"], "its own host"),
        ("[a.test]\naddress = 0.0.0.0\nport = 8053", &["=a.test 127.0.0.1:8053"], "its own host"),
        ("[a.test]", &[], "it has no port"),
    ] {
        let converted = routes(text);
        assert_eq!(shown(&converted), expected, "{text}");
        let notes = notes(&converted);
        assert!(notes.len() == 1 && notes[0].contains(why), "{text}: {notes:?}");
    }
}

#[test]
fn odd_lines() {
    let good = "[a.test]\naddress = 10.0.0.1\nport = 53\n";
    for (text, expected, note) in [
        // A comment behind something hides it; here, that the second section begins.
        (
            "[a.test]\naddress = 10.0.0.1\nport = 53\n[b.test] # new\naddress = 10.0.0.2\nport = 53\n",
            &["=a.test 10.0.0.2:53"][..],
            &[
                ":4: \"[b.test] # new\" is skipped as a whole because of its #, there and here: what it says \
                 has no effect.",
                ":5: address \"10.0.0.2\" of \"a.test.\" replaces \"10.0.0.1\" of upstream/a.prox:2: the last \
                 one counts, there and here.",
            ][..],
        ),
        ("# [b.test]\n\t#address = 1\n[a.test]\naddress=10.0.0.1\nport=53", &["=a.test 10.0.0.1:53"], &[]),
        ("[a.test\n\taddress = 10.0.0.1\n\tport = [ 5 3 ]\n", &["=a.test 10.0.0.1:53"], &[]),
        ("\t[ a.test. ]\naddress = 10.0.0.1 = 2\nport = 53", &["=a.test 10.0.0.1:53"], &[]),
        (
            "port = 53\n[a.test]\naddress = 10.0.0.1\nPort = 54\nport = 53\n \t\n",
            &["=a.test 10.0.0.1:53"],
            &[
                ":1: \"port\" stands before any name: it had no effect.",
                ":4: \"Port\" is neither address nor port (in lower case): it had no effect, and is dropped.",
                ":6: is blank but not empty, at which the original ended; it is ignored.",
            ],
        ),
        (
            "a.test\naddress = 10.0.0.1\nport = 53",
            &["=a.test 10.0.0.1:53"],
            &[":1: \"a.test.\" is taken for a name, there and here: it has neither [ nor =."],
        ),
        (
            &good.replace('\n', "\r\n"),
            &["=a.test 10.0.0.1:53"],
            &[": lines end with CR LF, and the original took the CR as part of names and values, so that \
               nothing in this file had any effect; it is converted as meant."],
        ),
        (&format!("{good}{good}"), &["=a.test 10.0.0.1:53"], &[]),
        ("", &[], &[]),
    ] {
        let converted = routes(text);
        assert_eq!(shown(&converted), expected, "{text}");
        assert_eq!(notes(&converted), note, "{text}");
    }
}

#[test]
fn names_in_upper_case() {
    let entry = |name, host| format!("[{name}]\naddress = 10.0.0.{host}\nport = 53\n");
    let converted = routes(&entry("A.test", 1));
    assert_eq!(shown(&converted), ["=a.test 10.0.0.1:53"]);
    assert_eq!(notes(&converted), [":1: A.test. matches only these upper-case letters there, and any here."]);
    for text in [entry("A.test", 1) + &entry("a.test", 2), entry("a.test", 2) + &entry("A.test", 1)] {
        let converted = routes(&text);
        assert_eq!(shown(&converted), ["=a.test 10.0.0.2:53"]);
        assert!(notes(&converted).iter().any(|note| note.contains("the same name as a.test.")), "{text}");
    }
}

#[test]
fn backends_by_name_and_by_ipv6() {
    for (address, expected, note) in [
        ("localhost", "127.0.0.1:53", "\"localhost\" was looked up for this file: 127.0.0.1 (also ::1)"),
        ("six.example", "[2001:db8::6]:53", "\"six.example\" was looked up for this file: 2001:db8::6."),
        ("[2001:db8::7]", "[2001:db8::7]:53", "is an IPv6 address, which the original cannot reach"),
    ] {
        let converted = routes(&format!("[a.test]\naddress = {address}\nport = 53"));
        assert_eq!(shown(&converted), [format!("=a.test {expected}")]);
        let [said] = notes(&converted).try_into().unwrap();
        assert!(said.starts_with(":2: ") && said.contains(note), "{said}");
    }
}

#[test]
fn pools_are_named_after_routes() {
    let long = "x".repeat(60);
    let entry = |name: &str, host| format!("[{name}]\naddress = 10.0.0.{host}\nport = 53\n");
    let text = entry("*.Cryo.network", 1)
        + &entry("cryo.network", 2)
        + &entry("b.test", 1)
        + &entry("drop", 3)
        + &entry("_a.b", 4)
        + &entry(&format!("{long}.test"), 5)
        + &entry("()", 6);
    let converted = routes(&text);
    let pools: Vec<&str> = converted.config.pools.keys().map(String::as_str).collect();
    assert_eq!(pools, ["a-b", "cryo-network", "cryo-network-2", "drop-2", "master", "pool", &"x".repeat(50)]);
}

#[test]
fn the_default_route() {
    for (old, new, expected, note) in [
        ("= true", "= true", "8.8.8.8:53", ""),
        ("= true", "", "8.8.8.8:53", ""),
        ("= true", "= off", "nxdomain", "empty A record"),
        ("\tusemasterupstream\t= true\n", "", "nxdomain", "empty A record"),
        ("8.8.8.8:53", "8.8.8.8", "servfail", "without a port"),
        ("8.8.8.8:53", ":5353", "127.0.0.1:5353", "its own host"),
        ("8.8.8.8:53", "[2001:db8::8]:53", "[2001:db8::8]:53", ""),
        ("8.8.8.8:53", "six.example:53", "[2001:db8::6]:53", "was looked up"),
        ("\tmasterupstream\t\t= \"8.8.8.8:53\"\n", "", "servfail", "masterupstream is \"\""),
    ] {
        let converted = import(&SETTINGS.replace(old, new), &[]).unwrap();
        let Config { routes, pools, .. } = &converted.config;
        let target = routes[&".".parse().unwrap()].to_string();
        let shown = pools.get(&target).map_or(target, |pool| pool.backends[0].address.to_string());
        assert_eq!(shown, expected, "{old} -> {new}");
        let notes: Vec<String> = converted.notes.iter().map(ToString::to_string).collect();
        assert!(notes.iter().any(|text| text.contains(note)), "{new}: {notes:?}");
        // Three for the dropped settings, three of every conversion.
        assert_eq!(notes.len(), 6 + usize::from(!note.is_empty()), "{new}: {notes:?}");
        Config::parse(&converted.to_toml(), "converted").unwrap();
    }
}

#[test]
fn more_routes_than_the_table_holds_by_default() {
    let entry = |n| format!("[n{n}.test]\naddress = 10.0.0.1\nport = 53\n");
    let converted = routes(&(0..20000).map(entry).collect::<String>());
    assert_eq!(converted.config.routes.len(), 20001);
    assert_eq!(converted.config.fast_path.routes, 32768);
}
