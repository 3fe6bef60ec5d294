//! The pod of one broker.
//!
//! The instance is an empty folder with the rendered files mounted read-only as its `etc`: the broker writes nothing there
//! but its lock file. Data is on the claim. The container's root is read-only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapProjection, Container, ContainerPort, EmptyDirVolumeSource,
    EnvVar, EnvVarSource, HTTPGetAction, KeyToPath, LocalObjectReference, ObjectFieldSelector,
    PersistentVolumeClaimVolumeSource, PodAffinityTerm, PodAntiAffinity, PodSecurityContext,
    PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource, ResourceRequirements, SeccompProfile,
    SecretProjection, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
    VolumeProjection, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pair::Side;

use super::config::{File, digest};
use super::{CONFIG_ANNOTATION, DATA, Rendering, access, claims};
use crate::api::spec::{ImagePullPolicy, PodTemplate};
use crate::render::placement::HTTP_PORT;

/// Folder of the instance.
const INSTANCE: &str = "/instance";
/// User and group of the broker: any that is not root and that no image is likely to have.
const USER: i64 = 10_001;
/// A broker that is stopped hands over in a second; a store that hangs must not keep a node from being drained.
const GRACE_SECONDS: i64 = 30;
/// Readable for the group that the pod runs in, and nobody else.
const FILE_MODE: i32 = 0o440;

/// What both instances are mounted from.
const CONFIG: &str = "config";
/// The claim.
const STORE: &str = "data";
/// The empty folder.
const WORK: &str = "instance";

pub(super) fn template(it: &Rendering<'_>, files: &[File], side: Side) -> PodTemplateSpec {
    let cluster = &it.pair.cluster;
    let placement = &cluster.placement[side];
    // Without `..`, so that a new field cannot be forgotten here.
    let PodTemplate {
        labels,
        annotations,
        env,
        node_selector,
        affinity,
        tolerations,
        topology_spread_constraints,
        priority_class_name,
        termination_grace_period,
        security_context,
        container_security_context,
    } = cluster.template.clone();
    let mut all_labels = labels;
    all_labels.extend(it.side_labels(side));
    let mut all_annotations = annotations;
    all_annotations.insert(CONFIG_ANNOTATION.to_owned(), digest(files));
    let mut nodes = node_selector;
    nodes.extend(placement.node_selector.clone());
    let mut tolerated = tolerations;
    tolerated.extend(placement.tolerations.clone());
    let pull_secrets = cluster.image_pull_secrets.iter();
    let pull_secrets: Vec<_> = pull_secrets
        .map(|secret| LocalObjectReference {
            name: secret.name.clone(),
        })
        .collect();
    let affinity = placement.affinity.clone().or(affinity);
    let grace = termination_grace_period.map(|grace| grace.as_millis().div_ceil(1_000));
    let grace = grace.and_then(|seconds| i64::try_from(seconds).ok());
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(all_labels),
            annotations: Some(all_annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![broker(it, env, container_security_context)],
            volumes: Some(volumes(it, files, side)),
            service_account_name: Some(access::name(it)),
            // The broker keeps the pair record and labels the pods.
            automount_service_account_token: Some(true),
            enable_service_links: Some(false),
            image_pull_secrets: some_list(pull_secrets),
            node_selector: (!nodes.is_empty()).then_some(nodes),
            tolerations: some_list(tolerated),
            affinity: Some(affinity.unwrap_or_else(|| apart(it))),
            topology_spread_constraints: some_list(
                topology_spread_constraints.unwrap_or_else(|| vec![over_zones(it)]),
            ),
            priority_class_name,
            termination_grace_period_seconds: Some(grace.unwrap_or(GRACE_SECONDS)),
            security_context: Some(security_context.unwrap_or_else(pod_security)),
            ..PodSpec::default()
        }),
    }
}

fn broker(it: &Rendering<'_>, env: Vec<EnvVar>, security: Option<SecurityContext>) -> Container {
    let cluster = &it.pair.cluster;
    let ports = it.client_ports().map(|(_, number)| number);
    let ports = ports.chain([it.link_port(), i32::from(HTTP_PORT)]);
    let mut variables = vec![
        from_pod("POD_NAME", "metadata.name"),
        from_pod("POD_NAMESPACE", "metadata.namespace"),
        from_pod("POD_UID", "metadata.uid"),
        from_pod("NODE_NAME", "spec.nodeName"),
    ];
    variables.extend(env);
    Container {
        name: "broker".to_owned(),
        image: Some(
            cluster
                .image
                .clone()
                .unwrap_or_else(|| it.context.image.clone()),
        ),
        image_pull_policy: cluster
            .image_pull_policy
            .map(ImagePullPolicy::as_str)
            .map(str::to_owned),
        args: Some(["run", "--instance", INSTANCE].map(str::to_owned).to_vec()),
        env: Some(variables),
        ports: Some(
            ports
                .map(|container_port| ContainerPort {
                    container_port,
                    protocol: Some("TCP".to_owned()),
                    ..ContainerPort::default()
                })
                .collect(),
        ),
        resources: resources(it),
        volume_mounts: Some(vec![
            mount(WORK, INSTANCE, false),
            mount(CONFIG, &format!("{INSTANCE}/etc"), true),
            mount(STORE, DATA, false),
        ]),
        // Loading a large store takes long. Ten minutes without having read the pair record is a process that hangs.
        startup_probe: Some(probe("/startupz", 2, 5, 300)),
        // Answered in every role, so a standby is healthy for weeks. Only a process that does not answer for a minute is
        // restarted; its standby took over long before.
        liveness_probe: Some(probe("/healthz", 10, 5, 6)),
        readiness_probe: Some(probe("/readyz", 2, 2, 2)),
        security_context: Some(security.unwrap_or_else(container_security)),
        // The broker leaves its incarnation there: with it the kubelet's report of its end is a proof of death.
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("File".to_owned()),
        ..Container::default()
    }
}

fn from_pod(name: &str, field: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                api_version: Some("v1".to_owned()),
                field_path: field.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

fn probe(path: &str, period: i32, timeout: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::Int(i32::from(HTTP_PORT)),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(timeout),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

fn resources(it: &Rendering<'_>) -> Option<ResourceRequirements> {
    let written = &it.pair.cluster.resources;
    let quantities = |map: &BTreeMap<String, crate::api::quantity::Quantity>| {
        let map: BTreeMap<_, _> = map
            .iter()
            .map(|(name, amount)| (name.clone(), Quantity(amount.to_string())))
            .collect();
        (!map.is_empty()).then_some(map)
    };
    let (requests, limits) = (quantities(&written.requests), quantities(&written.limits));
    (requests.is_some() || limits.is_some()).then(|| ResourceRequirements {
        requests,
        limits,
        ..ResourceRequirements::default()
    })
}

fn volumes(it: &Rendering<'_>, files: &[File], side: Side) -> Vec<Volume> {
    let items = |is_secret: bool| -> Vec<KeyToPath> {
        files
            .iter()
            .filter(|file| file.is_secret == is_secret)
            .map(|file| KeyToPath {
                key: file.key.clone(),
                path: file.name.clone(),
                mode: None,
            })
            .collect()
    };
    let config = ProjectedVolumeSource {
        default_mode: Some(FILE_MODE),
        sources: Some(vec![
            VolumeProjection {
                config_map: Some(ConfigMapProjection {
                    name: it.named("config"),
                    items: Some(items(false)),
                    optional: None,
                }),
                ..VolumeProjection::default()
            },
            VolumeProjection {
                secret: Some(SecretProjection {
                    name: it.named("config"),
                    items: Some(items(true)),
                    optional: None,
                }),
                ..VolumeProjection::default()
            },
        ]),
    };
    vec![
        Volume {
            name: WORK.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity("1Mi".to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: CONFIG.to_owned(),
            projected: Some(config),
            ..Volume::default()
        },
        Volume {
            name: STORE.to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claims::name(it, side),
                read_only: None,
            }),
            ..Volume::default()
        },
    ]
}

/// The two sides on two nodes where that can be had; on a cluster of one node both run there.
fn apart(it: &Rendering<'_>) -> Affinity {
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: PodAffinityTerm {
                        label_selector: Some(pods(it)),
                        topology_key: "kubernetes.io/hostname".to_owned(),
                        ..PodAffinityTerm::default()
                    },
                },
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn over_zones(it: &Rendering<'_>) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(pods(it)),
        ..TopologySpreadConstraint::default()
    }
}

fn pods(it: &Rendering<'_>) -> LabelSelector {
    LabelSelector {
        match_labels: Some(it.selector()),
        ..LabelSelector::default()
    }
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile {
        type_: "RuntimeDefault".to_owned(),
        localhost_profile: None,
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // A store of many segments must not be walked through at every start.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(runtime_default()),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        privileged: Some(false),
        read_only_root_filesystem: Some(true),
        run_as_non_root: Some(true),
        seccomp_profile: Some(runtime_default()),
        ..SecurityContext::default()
    }
}

fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
