//! Whether the pair's ports are free, before anything is started.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use crate::render::placement::WantedPort;

/// Ports that are not to be had, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", lines.join("\n"))]
pub(crate) struct PortsError {
    lines: Vec<String>,
}

/// How often ports in use are tried again, and the pause in between: brokers of a supervisor that was
/// killed a moment ago end in that time.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// Opens each port for a moment. Blocks for a second if one is in use.
pub(crate) fn check(host: &str, wanted: &[WantedPort]) -> Result<(), PortsError> {
    let ip: IpAddr = host.parse().map_err(|_| PortsError {
        lines: vec![format!("{host:?} is not an IP address")],
    })?;
    let mut lines = Vec::new();
    for WantedPort { port, side, origin } in wanted {
        // Listeners are bound with SO_REUSEADDR, so connections that linger from an earlier
        // run are no obstacle.
        let Err(error) = open(SocketAddr::new(ip, *port)) else {
            continue;
        };
        let kind = error.kind();
        let why = if kind == io::ErrorKind::AddrInUse {
            "is in use by another process".to_owned()
        } else if kind == io::ErrorKind::PermissionDenied {
            "needs root, as all below 1024".to_owned()
        } else {
            format!("cannot be opened: {error}")
        };
        lines.push(format!("port {port} (the {side}'s, for {origin}) {why}"));
    }
    if lines.is_empty() {
        return Ok(());
    }
    lines.push(
        "stop the other process (`ss -ltnp` lists them), or run this pair elsewhere with \
         --port-offset 1000"
            .to_owned(),
    );
    Err(PortsError { lines })
}

fn open(address: SocketAddr) -> io::Result<()> {
    let mut result = Ok(());
    for _ in 0..TRIES {
        result = TcpListener::bind(address).map(drop);
        match &result {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(PAUSE),
            Ok(()) | Err(_) => return result,
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use pair::Side;

    use super::*;

    #[test]
    fn a_port_in_use_is_told_with_its_field_and_the_remedy() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let origin = "spec.acceptors[0].port".to_owned();
        let wanted = [WantedPort {
            port,
            side: Side::Backup,
            origin,
        }];
        let error = check("127.0.0.1", &wanted).unwrap_err().to_string();
        let expected = format!(
            "port {port} (the backup's, for spec.acceptors[0].port) is in use by another process\n"
        );
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.contains("--port-offset"), "{error}");
        drop(taken);
        check("127.0.0.1", &wanted).unwrap();
    }
}
