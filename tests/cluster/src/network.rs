//! The bridge that joins the control plane with the nodes, and the rules that cut a node off.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::program::{output, run};
use crate::settings::{API_PORT, CONTROL_PLANE, NodeAddress, SERVICES};

const BRIDGE: &str = "br0";
const RULES_LIMIT: Duration = Duration::from_secs(20);

/// What a node can no longer reach, nor be reached from. Packets are dropped in silence, as by a switch that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Everything: the API server, the name server and the other node.
    Everything,
    /// The API server alone.
    ApiServer,
    /// The other node and its pods.
    OtherNode,
}

/// Makes the bridge in our own network, which is the control plane's.
pub(crate) fn make_bridge() -> Result<()> {
    ip(&format!("link add {BRIDGE} type bridge"))?;
    ip(&format!("addr add {CONTROL_PLANE}/24 dev {BRIDGE}"))?;
    ip(&format!("link set {BRIDGE} up"))?;
    // The API server refuses to start where it finds no route for its services' addresses.
    ip(&format!("route add {SERVICES} dev {BRIDGE}"))?;
    run("sysctl", &["-qw", "net.ipv4.ip_forward=1"])
}

/// Makes a node's network and joins it with the bridge.
pub(crate) fn make_node(node: &NodeAddress) -> Result<()> {
    let (name, number) = (&node.name, node.number);
    ip(&format!("netns add {name}"))?;
    ip(&format!(
        "link add veth{number} type veth peer name eth0 netns {name}"
    ))?;
    ip(&format!("link set veth{number} master {BRIDGE} up"))?;
    ip(&format!(
        "route add {} via {} dev {BRIDGE} onlink",
        node.pods, node.address
    ))?;
    let inside = |words: &str| ip(&format!("-n {name} {words}"));
    inside("link set lo up")?;
    inside(&format!("addr add {}/24 dev eth0", node.address))?;
    inside("link set eth0 up")?;
    inside(&format!("route add default via {CONTROL_PLANE}"))?;
    for other in NodeAddress::all() {
        if other.number != number {
            inside(&format!(
                "route add {} via {} dev eth0 onlink",
                other.pods, other.address
            ))?;
        }
    }
    let network = format!("--net=/run/netns/{name}");
    run(
        "nsenter",
        &[&network, "sysctl", "-qw", "net.ipv4.ip_forward=1"],
    )
}

/// Puts the rules of a cut into a node's network, in place of those of an earlier one.
pub(crate) fn cut(node: &NodeAddress, cut: Cut) -> Result<()> {
    heal(node)?;
    nft(node, &rules(node, cut))
}

/// Takes them away.
pub(crate) fn heal(node: &NodeAddress) -> Result<()> {
    // The first line makes the table if it is not there, so that the second always finds one.
    nft(node, "table inet cut {}\ndelete table inet cut\n")
}

fn nft(node: &NodeAddress, rules: &str) -> Result<()> {
    let mut nft = Command::new("nsenter");
    nft.arg(format!("--net=/run/netns/{}", node.name));
    output(nft.args(["nft", "-f", "-"]), rules, RULES_LIMIT).map(drop)
}

/// Incoming packets are dropped before, outgoing ones after every translation of addresses, so both show who is really meant. Pods'
/// packets pass here too.
fn rules(node: &NodeAddress, cut: Cut) -> String {
    let (incoming, outgoing) = match cut {
        Cut::Everything => (
            "iifname eth0 drop".to_owned(),
            "oifname eth0 drop".to_owned(),
        ),
        Cut::ApiServer => (
            format!(
                "ip saddr {CONTROL_PLANE} tcp sport {API_PORT} drop; ip saddr {CONTROL_PLANE} tcp dport 10250 drop"
            ),
            format!("ip daddr {CONTROL_PLANE} tcp dport {API_PORT} drop"),
        ),
        Cut::OtherNode => {
            let others = NodeAddress::all()
                .into_iter()
                .filter(|other| other.number != node.number)
                .map(|other| format!("{}, {}", other.address, other.pods))
                .collect::<Vec<_>>()
                .join(", ");
            (
                format!("ip saddr {{ {others} }} drop"),
                format!("ip daddr {{ {others} }} drop"),
            )
        }
    };
    format!(
        "table inet cut {{\n\
         chain incoming {{ type filter hook prerouting priority -500; {incoming}; }}\n\
         chain outgoing {{ type filter hook postrouting priority 500; {outgoing}; }}\n\
         }}\n"
    )
}

fn ip(words: &str) -> Result<()> {
    run("ip", &words.split(' ').collect::<Vec<_>>())
}
