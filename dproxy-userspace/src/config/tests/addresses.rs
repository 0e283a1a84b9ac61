use crate::config::parse_address;

#[test]
fn addresses_and_their_default_port() {
    for (text, expected) in [
        ("192.0.2.53", "192.0.2.53:53"),
        ("192.0.2.53:5353", "192.0.2.53:5353"),
        ("2001:db8::53", "[2001:db8::53]:53"),
        ("[2001:db8::53]", "[2001:db8::53]:53"),
        ("[2001:DB8:0::53]:5353", "[2001:db8::53]:5353"),
        // Without brackets, all of it is the address.
        ("2001:db8::1:53", "[2001:db8::1:53]:53"),
    ] {
        assert_eq!(parse_address(text).unwrap().to_string(), expected, "{text}");
    }
}

#[test]
fn texts_that_are_no_addresses() {
    for text in [
        "",
        "ns1.example",
        "ns1.example:53",
        "192.0.2",
        "192.0.2.053",
        "192.0.2.53:",
        "192.0.2.53:65536",
        "[192.0.2.53]:53",
        "[2001:db8::53",
        "192.0.2.0/24",
        "fe80::1%eth0",
        "[fe80::1%2]:53",
        " 192.0.2.53",
    ] {
        assert_eq!(
            parse_address(text).unwrap_err().to_string(),
            format!(
                "address \"{text}\" is not an IP address, alone or with a port; allowed: an IP address, \
                 and a port from 1 to 65535 if it is not 53: 192.0.2.53, 192.0.2.53:5353, \
                 2001:db8::53 or [2001:db8::53]:5353"
            )
        );
    }
}
