//! The addresses of acceptors and connectors: `tcp://host:port?key=value;key=value`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Port of an address that gives none.
const DEFAULT_PORT: u16 = 61_616;

/// The parts of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Decoded.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Reads an address; the error says what is wrong, to be read after the address.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    let Some(rest) = text.strip_prefix("tcp://") else {
        return Err("does not begin with tcp://");
    };
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    if authority.contains(['#', ',', '/', '@', '(']) || authority.contains(char::is_whitespace) {
        return Err("must name one host and one port");
    }
    let (host, port) = split_port(authority)?;
    if host.is_empty() {
        return Err("names no host");
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| "needs a port from 0 to 65535")?,
        None => DEFAULT_PORT,
    };
    Ok(Url {
        host: host.to_owned(),
        port,
        parameters: parameters(query)?,
    })
}

/// Host, without brackets, and port of `host:port`.
pub(crate) fn split_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("has a '[' without a ']'")?;
        return match (rest.strip_prefix(':'), rest) {
            (Some(port), _) => Ok((host, Some(port))),
            (None, "") => Ok((host, None)),
            (None, _) => Err("has something between ']' and the port"),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err("needs [ and ] around an IPv6 address"),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

fn parameters(query: &str) -> Result<BTreeMap<String, String>, &'static str> {
    let mut parameters = BTreeMap::new();
    for pair in query
        .split([';', '&'])
        .filter(|pair| !pair.trim().is_empty())
    {
        let (key, value) = pair.split_once('=').ok_or("has a parameter without '='")?;
        let key = decode(key.trim()).ok_or("has a % without two hexadecimal digits")?;
        let value = decode(value.trim()).ok_or("has a % without two hexadecimal digits")?;
        if parameters.insert(key, value).is_some() {
            return Err("has the same parameter twice");
        }
    }
    Ok(parameters)
}

/// Replaces `%20` and the like.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Writes an address such that it is read back.
pub(crate) fn write<'a>(
    host: &str,
    port: u16,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut text = if host.contains(':') {
        format!("tcp://[{host}]:{port}")
    } else {
        format!("tcp://{host}:{port}")
    };
    for (index, (key, value)) in parameters.into_iter().enumerate() {
        text.push(if index == 0 { '?' } else { ';' });
        encode(key, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b',' | b'/' | b':' | b'*' | b'$' => {
                out.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(host: &str, port: u16, parameters: &[(&str, &str)]) -> Url {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Url {
            host: host.to_owned(),
            port,
            parameters: parameters.iter().map(own).collect(),
        }
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(parse("tcp://h"), Ok(url("h", 61_616, &[])));
        assert_eq!(parse("tcp://[::1]:7?"), Ok(url("::1", 7, &[])));
        assert_eq!(parse("tcp://[::1]"), Ok(url("::1", 61_616, &[])));
        assert_eq!(
            parse("tcp://0.0.0.0:61616?a=1;b=x%3By&c=;"),
            Ok(url(
                "0.0.0.0",
                61_616,
                &[("a", "1"), ("b", "x;y"), ("c", "")]
            ))
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let url = url("fe80::1", 61_616, &[("a b", "x;y&z=%?"), ("é", "$.[]")]);
        let pairs = url
            .parameters
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        assert_eq!(parse(&write(&url.host, url.port, pairs)), Ok(url.clone()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, problem) in [
            ("udp://h:1", "does not begin with tcp://"),
            ("tcp://", "names no host"),
            ("tcp://:1", "names no host"),
            ("tcp://h:x", "needs a port from 0 to 65535"),
            ("tcp://h:70000", "needs a port from 0 to 65535"),
            ("tcp://h:1,tcp://i:2", "must name one host and one port"),
            ("tcp://::1:7", "needs [ and ] around an IPv6 address"),
            ("tcp://[::1:7", "has a '[' without a ']'"),
            ("tcp://[::1]7", "has something between ']' and the port"),
            ("tcp://h:1?a", "has a parameter without '='"),
            ("tcp://h:1?a=%4", "has a % without two hexadecimal digits"),
            ("tcp://h:1?a=%é0", "has a % without two hexadecimal digits"),
            ("tcp://h:1?a=1;a=2", "has the same parameter twice"),
        ] {
            assert_eq!(parse(text), Err(problem), "{text}");
        }
    }
}
