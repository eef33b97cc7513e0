//! From the text of a connection URL to an [`Endpoint`].

use super::{Address, Credentials, Endpoint, EndpointError, Kind, Protocol, SentinelKind};
use crate::namespace::Namespace;

pub(super) fn parse(url: &str) -> Result<Endpoint, EndpointError> {
    limited("connection URL", url, Endpoint::MAX_LEN)?;
    let (scheme, rest) = url.split_once("://").ok_or(EndpointError::NoScheme)?;
    if rest.contains('#') {
        return Err(EndpointError::Fragment);
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parse_kind = match scheme {
        "redis" | "rediss" => tcp,
        "redis+unix" => unix,
        "rediscluster" | "redisscluster" => cluster,
        "redis+sentinel" | "rediss+sentinel" => sentinel,
        "memory" => memory,
        _ => {
            return Err(EndpointError::UnknownScheme {
                scheme: shown_scheme(scheme),
            });
        }
    };
    // Checked before anything else, as what looks like a path is then the rest of a password. Only a path that nothing
    // stands before, a socket's, may have one of its own.
    let has_credentials = scheme != "memory" && !rest.starts_with('/');
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    if has_credentials && path.contains('@') {
        return Err(EndpointError::Unescaped);
    }
    let parsed = Query::parse(query, known_keys(scheme)).and_then(|mut query| {
        let kind = parse_kind(scheme, rest, &mut query)?;
        Ok((kind, query))
    });
    let (kind, query) = parsed.map_err(|error| {
        // What is wrong may be the rest of a password, so it is not shown.
        if query.contains('@') {
            EndpointError::Unescaped
        } else {
            error
        }
    })?;
    check_features(scheme)?;
    Ok(Endpoint {
        kind,
        namespace: query.namespace,
        protocol: query.protocol,
    })
}

fn limited(what: &'static str, text: &str, limit: usize) -> Result<(), EndpointError> {
    let len = text.len();
    if limit < len {
        return Err(EndpointError::TooLong { what, len, limit });
    }
    Ok(())
}

/// URLs are checked as a whole first, so that the first error a user sees is the one to mend.
fn check_features(scheme: &str) -> Result<(), EndpointError> {
    let lacking = [
        (scheme.starts_with("rediss"), cfg!(feature = "tls"), "tls"),
        (
            scheme.ends_with("cluster"),
            cfg!(feature = "cluster"),
            "cluster",
        ),
        (
            scheme.ends_with("sentinel"),
            cfg!(feature = "sentinel"),
            "sentinel",
        ),
    ];
    let lacking = lacking
        .iter()
        .find(|(wanted, present, _)| *wanted && !present);
    lacking.map_or(Ok(()), |&(_, _, feature)| {
        Err(EndpointError::Unsupported {
            scheme: scheme.to_owned(),
            feature,
        })
    })
}

fn known_keys(scheme: &str) -> &'static str {
    match scheme {
        "redis+unix" => "ns, db, protocol",
        "redis+sentinel" | "rediss+sentinel" => "ns, protocol, sentinel_user, sentinel_password",
        "memory" => "ns",
        _ => "ns, protocol",
    }
}

#[derive(Default)]
struct Query {
    namespace: Option<Namespace>,
    protocol: Protocol,
    database: Option<String>,
    sentinel: Credentials,
}

impl Query {
    fn parse(text: &str, known: &'static str) -> Result<Self, EndpointError> {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_known = known.split(", ").any(|name| name == key);
            // What is wrong with a database depends on the kind of URL: a cluster says more than "unknown key".
            if !is_known && key != "db" {
                return Err(EndpointError::UnknownKey {
                    key: key.to_owned(),
                    known,
                });
            }
            if seen.contains(&key) {
                return Err(EndpointError::RepeatedKey {
                    key: key.to_owned(),
                });
            }
            seen.push(key);
            let value = decode(value, "a query value")?;
            match key {
                "ns" => query.namespace = Some(Namespace::new(value)?),
                "db" => query.database = Some(value),
                "protocol" => query.protocol = protocol(value)?,
                "sentinel_user" => query.sentinel.user = Some(value),
                _ => query.sentinel.password = Some(value),
            }
        }
        Ok(query)
    }
}

fn protocol(text: String) -> Result<Protocol, EndpointError> {
    match text.as_str() {
        "resp2" | "2" => Ok(Protocol::Resp2),
        "resp3" | "3" => Ok(Protocol::Resp3),
        _ => Err(EndpointError::Protocol { protocol: text }),
    }
}

fn tcp(scheme: &str, rest: &str, query: &mut Query) -> Result<Kind, EndpointError> {
    if query.database.is_some() {
        return Err(EndpointError::UnknownKey {
            key: "db".to_owned(),
            known: known_keys(scheme),
        });
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, address) = split_credentials(authority)?;
    if address.contains(',') {
        return Err(EndpointError::ManyHosts {
            scheme: scheme.to_owned(),
        });
    }
    Ok(Kind::Tcp {
        address: parse_address(address, Endpoint::DEFAULT_PORT)?,
        database: parse_database(database)?,
        credentials,
        tls: scheme.starts_with("rediss"),
    })
}

fn unix(_scheme: &str, rest: &str, query: &mut Query) -> Result<Kind, EndpointError> {
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (credentials, host) = split_credentials(authority)?;
    if path.len() < 2 {
        return Err(EndpointError::Missing {
            what: "socket path",
        });
    }
    if !host.is_empty() {
        return Err(EndpointError::Host {
            what:
                "what stands before the socket path (three slashes are meant: redis+unix:///path)"
                    .to_owned(),
        });
    }
    let path = decode(path, "the socket path")?;
    limited("socket path", &path, Endpoint::MAX_PATH)?;
    Ok(Kind::Unix {
        path,
        database: parse_database(query.database.as_deref().unwrap_or(""))?,
        credentials,
    })
}

fn cluster(scheme: &str, rest: &str, query: &mut Query) -> Result<Kind, EndpointError> {
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let in_path = (!database.is_empty()).then_some(database);
    if let Some(database) = in_path.or(query.database.as_deref()) {
        return Err(EndpointError::ClusterDatabase {
            database: database.to_owned(),
        });
    }
    let (credentials, seeds) = split_credentials(authority)?;
    Ok(Kind::Cluster {
        seeds: parse_addresses(seeds, Endpoint::DEFAULT_PORT)?,
        credentials,
        tls: scheme.starts_with("rediss"),
    })
}

fn sentinel(scheme: &str, rest: &str, query: &mut Query) -> Result<Kind, EndpointError> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, sentinels) = split_credentials(authority)?;
    let sentinels = parse_addresses(sentinels, Endpoint::DEFAULT_SENTINEL_PORT)?;
    let (master, database) = path.split_once('/').unwrap_or((path, ""));
    if master.is_empty() {
        return Err(EndpointError::Missing {
            what: "master name (redis+sentinel://sentinel:26379/master-name)",
        });
    }
    if database.contains('/') {
        return Err(EndpointError::Trailing { after: "database" });
    }
    let master = decode(master, "the master name")?;
    limited("master name", &master, Endpoint::MAX_NAME)?;
    Ok(Kind::Sentinel(Box::new(SentinelKind {
        sentinels,
        master,
        database: parse_database(database)?,
        credentials,
        sentinel_credentials: std::mem::take(&mut query.sentinel),
        tls: scheme.starts_with("rediss"),
    })))
}

fn memory(_scheme: &str, rest: &str, _query: &mut Query) -> Result<Kind, EndpointError> {
    let name = decode(rest.trim_end_matches('/'), "the name")?;
    limited("name", &name, Endpoint::MAX_NAME)?;
    Ok(Kind::Memory { name })
}

fn split_credentials(authority: &str) -> Result<(Credentials, &str), EndpointError> {
    let Some((user_info, address)) = authority.rsplit_once('@') else {
        return Ok((Credentials::default(), authority));
    };
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let part =
        |text, name| decode(text, name).map(|text| Some(text).filter(|text| !text.is_empty()));
    let credentials = Credentials {
        user: part(user, "the user")?,
        password: part(password, "the password")?,
    };
    Ok((credentials, address))
}

fn parse_addresses(text: &str, default_port: u16) -> Result<Vec<Address>, EndpointError> {
    let count = text.split(',').count();
    if Endpoint::MAX_ADDRESSES < count {
        return Err(EndpointError::TooMany { count });
    }
    let mut addresses: Vec<Address> = Vec::with_capacity(count);
    for part in text.split(',') {
        let address = parse_address(part, default_port)?;
        if addresses.contains(&address) {
            return Err(EndpointError::RepeatedAddress {
                address: address.to_string(),
            });
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn parse_address(text: &str, default_port: u16) -> Result<Address, EndpointError> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(|| EndpointError::Host {
            what: "an address that begins with [ and has no ]".to_owned(),
        })?;
        let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
        // The text may be the rest of a password whose @ was forgotten.
        if !is_address || !(port.is_empty() || port.starts_with(':')) {
            return Err(EndpointError::Host {
                what: "what stands in brackets".to_owned(),
            });
        }
        (host, port.strip_prefix(':'))
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(EndpointError::Missing { what: "host" });
    }
    limited("host", host, Endpoint::MAX_HOST)?;
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "/\\%,[]".contains(c);
    if host.contains(forbidden) {
        return Err(EndpointError::Host {
            what: "the host".to_owned(),
        });
    }
    let port = match port {
        None => default_port,
        Some(text) => text
            .parse()
            .ok()
            .filter(|&port: &u16| port != 0 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| EndpointError::Port {
                port: shown_port(text),
            })?,
    };
    Ok(Address {
        host: host.to_owned(),
        port,
    })
}

/// What stands before a `://` further on may be a whole URL with a mistake in the beginning.
fn shown_scheme(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    if text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        "(not shown)".to_owned()
    }
}

/// What stands where a port should may be a password whose `@` was forgotten: only digits are safe to show.
fn shown_port(text: &str) -> String {
    if !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.to_owned()
    } else {
        "(not shown, it may be a password)".to_owned()
    }
}

fn parse_database(text: &str) -> Result<u32, EndpointError> {
    if text.is_empty() {
        return Ok(0);
    }
    text.parse().map_err(|_| EndpointError::Database {
        database: text.to_owned(),
    })
}

fn decode(text: &str, part: &'static str) -> Result<String, EndpointError> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| EndpointError::Encoding { part })
}
