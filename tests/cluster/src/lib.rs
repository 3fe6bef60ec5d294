//! A real Kubernetes of two nodes on one machine: etcd, API server, controller manager, scheduler, CoreDNS, and two nodes with
//! containerd, kubelet and kube-proxy, each in a network of its own.
//!
//! ```text
//!   control plane 10.77.0.1 ──┬── bridge ──┬── node-1 10.77.0.11, pods 10.244.1.0/24
//!   (the test itself)         └────────────┴── node-2 10.77.0.12, pods 10.244.2.0/24
//! ```
//!
//! All of it lives in namespaces that end with their first process (`isolation`), so whatever ends a test ends its cluster. What
//! namespaces do not take with them, a folder and the control groups of the containers, is removed by whoever started it, or by the
//! next start (`run_folder`).
//!
//! Must never touch the machine's own network, nor end a process that it did not start.

mod cluster;
mod control_plane;
mod credentials;
mod daemon;
pub mod held;
pub mod image;
pub mod isolation;
mod kubectl;
mod network;
mod node;
mod node_settings;
mod pods;
mod process_tree;
mod program;
pub mod run_folder;
mod settings;
mod wait;

pub use cluster::Cluster;
pub use network::Cut;
pub use node::{Node, NodeNetwork};
pub use pods::Container;
pub use program::{Said, said};
pub use settings::{NODES, Settings};
pub use wait::until;
