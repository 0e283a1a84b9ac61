//! Percent-encoding (RFC 3986 §2.1).

/// `text` as one segment of a path or one value of a query.
///
/// Dots are encoded where they are all of the segment, which would be taken for a relative path: `.` is
/// the name of the root.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => encoded.push(char::from(octet)),
            b'.' if !matches!(text, "." | "..") => encoded.push('.'),
            _ => encoded += &format!("%{octet:02X}"),
        }
    }
    encoded
}

/// `path` with a query of those `parameters` that have a value.
pub fn query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(key, value)| Some(format!("{key}={}", encode((*value)?))));
    let given: Vec<String> = given.collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_path_is_encoded() {
        for (text, encoded) in [
            ("*.dev.example", "%2A.dev.example"),
            ("=www.example.org", "%3Dwww.example.org"),
            (".", "%2E"),
            ("0/25.2.0.192.in-addr.arpa", "0%2F25.2.0.192.in-addr.arpa"),
            (r"a\.b\032?#&+%", "a%5C.b%5C032%3F%23%26%2B%25"),
            ("[2001:db8::1]:53", "%5B2001%3Adb8%3A%3A1%5D%3A53"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(encode(text), encoded);
        }
    }

    #[test]
    fn a_query_has_what_is_given() {
        assert_eq!(query("/v1/explain", &[("name", Some("a b")), ("type", None)]), "/v1/explain?name=a%20b");
        assert_eq!(query("/v1/stats", &[("type", None)]), "/v1/stats");
    }
}
