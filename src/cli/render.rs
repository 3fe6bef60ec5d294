//! `tandem render`: everything that is applied for a pair, with no cluster.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, Refusal};
use crate::api::manifest::Manifest;
use crate::api::validate::validate;
use crate::api::yaml::MAX_MANIFEST_BYTES;
use crate::local::credentials;
use crate::render::Credentials;
use crate::render::kubernetes::{ADMIN_PASSWORD, CLUSTER_PASSWORD, Context, objects};

/// Namespace of pairs whose manifest names none.
const DEFAULT_NAMESPACE: &str = "default";
/// Image of pairs whose manifest names none.
const DEFAULT_IMAGE: &str = concat!("tandem-broker:", env!("CARGO_PKG_VERSION"));

/// What is rendered.
#[derive(Debug, Args)]
pub(super) struct Render {
    /// The pair's manifest: one BrokerPair, and the Secrets it refers to.
    #[arg(short, long)]
    file: PathBuf,
    /// Namespace of the objects [default: the manifest's, or `default`].
    #[arg(short, long)]
    namespace: Option<String>,
    /// Image of the brokers, unless the manifest names one.
    #[arg(long, default_value = DEFAULT_IMAGE)]
    image: String,
    /// Domain of the cluster's names.
    #[arg(long, default_value = "cluster.local")]
    cluster_domain: String,
}

/// Prints the objects as YAML documents.
pub(super) fn main(command: Render) -> Result<Exit, Refusal> {
    let Render {
        file,
        namespace,
        image,
        cluster_domain,
    } = command;
    let text = read(&file)?;
    let manifest = Manifest::read(&file.display().to_string(), &text)
        .map_err(|error| Refusal::new(Exit::Refused, &error))?;
    let pair = validate(&manifest).map_err(|error| Refusal::new(Exit::Refused, &error))?;
    let namespace = namespace
        .or_else(|| manifest.pair.metadata.namespace.clone())
        .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
    let context = Context {
        namespace,
        cluster_domain,
        image,
        owner_uid: None,
    };
    let credentials = credentials_of(&manifest, &pair.name)?;
    let objects = objects(&pair, &credentials, &context).all();
    let objects = objects.map_err(|error| Refusal::new(Exit::Refused, &error))?;
    let mut out = std::io::stdout().lock();
    for object in objects {
        let text = serde_saphyr::to_string(&object)
            .map_err(|error| Refusal::new(Exit::Refused, &error))?;
        write!(out, "---\n{text}").map_err(|error| Refusal::new(Exit::Unavailable, &error))?;
    }
    Ok(Exit::Done)
}

/// Those of the Secret `NAME-credentials`, if the file has it; new ones otherwise.
fn credentials_of(manifest: &Manifest, pair: &str) -> Result<Credentials, Refusal> {
    let name = format!("{pair}-credentials");
    let Some(secret) = manifest.secrets.get(&name) else {
        let password = || {
            let bytes: Result<[u8; 16], _> = credentials::random();
            bytes.map(|bytes| credentials::hex(&bytes))
        };
        let make = || -> Result<Credentials, credentials::CredentialsError> {
            Ok(Credentials {
                cluster_password: password()?,
                generated_password: password()?,
            })
        };
        return make().map_err(|error| Refusal::new(Exit::Unavailable, &error));
    };
    let refused = |what: String| {
        let text = format!("{}: Secret {name}: {what}", manifest.file);
        Refusal::new(Exit::Refused, &text)
    };
    let values = secret.values().map_err(|wrong| refused(wrong.join("; ")))?;
    let value = |key: &str| {
        let text = values
            .get(key)
            .and_then(|bytes| String::from_utf8(bytes.clone()).ok());
        text.ok_or_else(|| {
            refused(format!(
                "{key} is missing; leave the Secret out to have new passwords made"
            ))
        })
    };
    Ok(Credentials {
        cluster_password: value(CLUSTER_PASSWORD)?,
        generated_password: value(ADMIN_PASSWORD)?,
    })
}

fn read(file: &Path) -> Result<String, Refusal> {
    let unreadable = |error: std::io::Error| {
        let text = format!("cannot read {}: {error}", file.display());
        Refusal::new(Exit::Refused, &text)
    };
    let bytes = std::fs::metadata(file).map_err(unreadable)?.len();
    if bytes > MAX_MANIFEST_BYTES as u64 {
        let text = format!(
            "{} has {bytes} bytes, a manifest has at most {MAX_MANIFEST_BYTES}: is this the right file?",
            file.display()
        );
        return Err(Refusal::new(Exit::Refused, &text));
    }
    std::fs::read_to_string(file).map_err(unreadable)
}
