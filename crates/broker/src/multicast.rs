//! Which interface multicast uses: what announcing and listening have in common.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

/// Whether only this machine reaches that host. A broker there multicasts on the loopback interface alone.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.parse().map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |host: IpAddr| host.is_loopback(),
    )
}

/// The IPv4 address of a host.
pub(crate) async fn resolve(host: &str) -> io::Result<Ipv4Addr> {
    let mut addresses = tokio::net::lookup_host((host, 0)).await?;
    addresses
        .find_map(|address| match address.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
        .ok_or_else(|| io::Error::other("it is no IPv4 address"))
}
