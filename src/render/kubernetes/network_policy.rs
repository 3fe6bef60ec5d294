//! Who may talk to the brokers: clients and whoever looks at their health may come from anywhere, the link belongs to the
//! two brokers.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Rendering;
use crate::render::placement::HTTP_PORT;

pub(super) fn policy(it: &Rendering<'_>) -> NetworkPolicy {
    let port = |port: i32| NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    let open = it.client_ports().map(|(_, number)| port(number));
    let open = open.chain([port(i32::from(HTTP_PORT))]).collect();
    let brokers = || LabelSelector {
        match_labels: Some(it.selector()),
        ..LabelSelector::default()
    };
    NetworkPolicy {
        metadata: it.owned(it.named("brokers")),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(brokers()),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule {
                    ports: Some(open),
                    from: None,
                },
                NetworkPolicyIngressRule {
                    ports: Some(vec![port(it.link_port())]),
                    from: Some(vec![NetworkPolicyPeer {
                        pod_selector: Some(brokers()),
                        ..NetworkPolicyPeer::default()
                    }]),
                },
            ]),
            egress: None,
        }),
    }
}
