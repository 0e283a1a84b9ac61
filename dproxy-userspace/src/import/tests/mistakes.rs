//! What cannot be converted, and the words for it.

use super::*;

fn error(settings: &str, files: &[(&str, &str)]) -> String {
    import(settings, files).map(|converted| converted.to_toml()).unwrap_err().to_string()
}

#[test]
fn settings() {
    for (old, new, expected) in [
        ("= 53", "= 0", "old/config.gcfg:3: port is \"0\"\n    allowed: 1 to 65535"),
        ("= 53", "= 65536", "old/config.gcfg:3: port is \"65536\"\n    allowed: 1 to 65535"),
        ("\tport\t\t\t= 53\n", "", "old/config.gcfg: has no port in [dproxy]\n    allowed: port = 53"),
        (
            "= true",
            "= perhaps",
            "old/config.gcfg:6: usemasterupstream is \"perhaps\"\n    allowed: true, yes, on, 1, false, no, \
             off, 0",
        ),
        (
            "\tupstreamlocation\t= \"upstream/\"\n",
            "",
            "old/config.gcfg: has no upstreamlocation in [dproxy], the folder of the route files\n    \
             allowed: upstreamlocation = \"upstream/\"",
        ),
        (
            "[redis]",
            "[redis",
            "old/config.gcfg:9: \"[redis\" has no ] behind the section's name\n    allowed: [section], name \
             = value, or a comment behind # or ;",
        ),
        (
            "\"debug\"",
            "\"debug",
            "old/config.gcfg:2: \"loglevel\\t\\t= \"debug\" has no quote at the end of its value\n    \
             allowed: [section], name = value, or a comment behind # or ;",
        ),
        (
            "8.8.8.8:53",
            "dns.example:53",
            "old/config.gcfg:7: \"dns.example\" cannot be looked up: no such host\n    allowed: an IP \
             address, or a host name that can be looked up",
        ),
        (
            "8.8.8.8:53",
            "192.0.2.53:53",
            "old/config.gcfg:7: backend 192.0.2.53:53 of pool \"master\" is a listener too, so that \
             queries would go round in a loop\n    allowed: an address that is no listener",
        ),
    ] {
        let expected = format!("{expected}\n1 problem; nothing was written");
        assert_eq!(error(&SETTINGS.replacen(old, new, 1), &[]), expected);
    }
}

#[test]
fn all_problems_of_the_route_files_at_once() {
    let text = "[a.test]\naddress = 10.0.0.1\nport = 65536\n[b.test]\naddress = 10.0.0.256\nport = 53\n\
                [*.c.test]\naddress = empty.example\nport = 53\n[d.test]\naddress = 10.0.0.1\nport = dns\n";
    assert_eq!(
        error(SETTINGS, &[("x.prox", text)]),
        "old/upstream/x.prox:3: port is \"65536\"\n    allowed: 1 to 65535\n\
         old/upstream/x.prox:5: \"10.0.0.256\" cannot be looked up: no such host\n    allowed: an IP \
         address, or a host name that can be looked up\n\
         old/upstream/x.prox:8: \"empty.example\" has no address\n    allowed: an IP address, or a host name \
         that can be looked up\n\
         old/upstream/x.prox:12: port is \"dns\"\n    allowed: 1 to 65535\n\
         4 problems; nothing was written"
    );
}

#[test]
fn a_backend_that_no_rule_allows() {
    let text = "[a.test]\naddress = 255.255.255.255\nport = 53\n";
    assert_eq!(
        error(SETTINGS, &[("x.prox", text)]),
        "old/upstream/x.prox:2: backend 255.255.255.255:53 of pool \"a-test\" has the broadcast address\n    \
         allowed: a unicast address\n1 problem; nothing was written"
    );
}

#[test]
fn nowhere_to_listen() {
    let source = Source::read(Path::new("old"), SETTINGS, |_, _| Ok(vec![])).unwrap();
    let nowhere = Serving { interfaces: vec![], addresses: vec![], remark: None };
    let error = convert(&source, &nowhere, &look_up).unwrap_err().to_string();
    assert!(
        error.starts_with("the converted configuration: listen.interfaces names no interface"),
        "{error}"
    );
}
