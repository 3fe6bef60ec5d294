//! How a process reaches the API server.

use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

/// No connection takes longer to be made than a call may take.
const CONNECT: Duration = Duration::from_secs(1);

/// Why the API server cannot be reached.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The file that `KUBECONFIG` names cannot be used.
    #[error("KUBECONFIG: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// Not in a pod, or without a service account.
    #[error(
        "no API server is known: {0}; in a pod the service account's token must be mounted, elsewhere KUBECONFIG must name a file"
    )]
    InCluster(#[from] InClusterError),
    /// Its certificate or credentials cannot be used.
    #[error("the client cannot be set up: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// A client of the API server: of the one that the file in `KUBECONFIG` names, else of the one whose pod this is.
/// The service account's token is read again before it expires. A call is sent once: whoever waits for it knows best
/// when to send it again (A1, A2).
pub async fn connect() -> Result<Client, ConnectError> {
    let mut config = if std::env::var_os("KUBECONFIG").is_some() {
        Config::from_kubeconfig(&KubeConfigOptions::default()).await?
    } else {
        Config::incluster()?
    };
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))
}
