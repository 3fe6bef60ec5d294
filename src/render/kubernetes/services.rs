//! How clients and the other side reach a broker.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{ROLE_LABEL, Rendering};
use crate::render::placement::HTTP_PORT;

/// `NAME`: follows the active. The label alone decides, which the brokers set as soon as they serve; the readiness that a
/// kubelet sees is seconds behind that, and would only add to the gap.
pub(super) fn active(it: &Rendering<'_>) -> Service {
    let mut selector = it.selector();
    selector.insert(ROLE_LABEL.to_owned(), "active".to_owned());
    Service {
        metadata: it.owned(it.pair.name.clone()),
        spec: Some(ServiceSpec {
            selector: Some(selector),
            ports: Some(
                it.client_ports()
                    .map(|(name, number)| port(name, number))
                    .collect(),
            ),
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// `NAME-brokers`: gives each pod its name. A broker must find the other one before either is ready.
pub(super) fn headless(it: &Rendering<'_>) -> Service {
    let ports = it.client_ports().map(|(name, number)| port(name, number));
    let own = [
        port("tandem-link", it.link_port()),
        port("tandem-http", i32::from(HTTP_PORT)),
    ];
    Service {
        metadata: it.owned(it.named("brokers")),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            selector: Some(it.selector()),
            ports: Some(ports.chain(own).collect()),
            publish_not_ready_addresses: Some(true),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(name: &str, number: i32) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: number,
        target_port: Some(IntOrString::Int(number)),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}
