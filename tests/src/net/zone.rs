//! The zone that real servers serve.

/// A zone file (RFC 1035 §5), for every server the same.
pub fn zone_file(origin: &str) -> String {
    let texts = |name: &str, count: usize| {
        let text = |number: usize| format!("{name} TXT \"{number:02} {}\"\n", "x".repeat(92));
        (0..count).map(text).collect::<String>()
    };
    let fixed = r#"@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
@ MX 10 mail
@ MX 20 mail.example.
ns A 192.0.2.53
ns AAAA 2001:db8::53
mail A 192.0.2.25
www A 192.0.2.80
www AAAA 2001:db8::80
only4 A 192.0.2.4
many A 192.0.2.1
many A 192.0.2.2
many A 192.0.2.3
alias CNAME www
*.wild A 192.0.2.99
a\.dot TXT "a dot in a label"
text TXT "hello" "world"
unknown TYPE65280 \# 4 C0000201
"#;
    let long = format!("{} TXT \"a long name\"\n", long_name(origin));
    format!("$ORIGIN {origin}\n$TTL 300\n{fixed}{}{}{long}", texts("medium", 9), texts("large", 28))
}

/// The longest name below `origin`: 255 octets in wire form (RFC 1035 §2.3.4).
pub fn long_name(origin: &str) -> String {
    // In wire form the origin has one octet more than here: `example.` is 7example0.
    let last = 255 - (origin.len() + 1) - 3 * 64 - 1;
    ["a", "b", "c"].map(|letter| letter.repeat(63)).join(".") + "." + &"d".repeat(last) + "." + origin
}
