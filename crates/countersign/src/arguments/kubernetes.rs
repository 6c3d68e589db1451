//! Keys in a Kubernetes cluster: the one that the environment chose, as for `kubectl`.

use std::path::Path;
use std::time::Duration;

use client::kubernetes::{
    Cluster, KeyEntries, KeySecret, KubernetesError, SERVICE_ACCOUNT, SecretRef,
};
use client::{Deadline, HttpOptions};
use crypto::encrypted::Password;
use zeroize::Zeroizing;

use super::network::http_options;
use crate::exit::{Exit, Failure};
use crate::{machine, ui};

/// Time to log in to a cluster and to read or write one object.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The public key of a Secret.
pub(crate) async fn public_key(at: &SecretRef) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Who cannot be asked has not said that something is unsigned, or signed by another.
    let failed = |error| failed("cannot read the public key", Exit::Unknown, error);
    let secret = read(at, http_options()?).await.map_err(failed)?;
    secret.public_key().map_err(failed)
}

/// The private key of a Secret, and the password that is kept beside it.
pub(crate) async fn private_key(
    at: &SecretRef,
) -> Result<(Zeroizing<Vec<u8>>, Option<Password>), Failure> {
    let failed = |error| failed("cannot read the private key", Exit::Failure, error);
    let secret = read(at, http_options()?).await.map_err(failed)?;
    let password = secret.password().map_err(failed)?;
    let password = password.map(|password| Password::new(password.to_vec()));
    Ok((secret.private_key().map_err(failed)?, password))
}

/// Puts keys into a Secret.
pub(crate) async fn store(at: &SecretRef, keys: &KeyEntries<'_>) -> Result<(), Failure> {
    let (options, deadline) = (http_options()?, Deadline::after(TIMEOUT));
    let stored = async { cluster(options, deadline).await?.store(at, keys, deadline).await };
    stored.await.map_err(|error| {
        let what = match error {
            KubernetesError::NotKnown { .. } => "it is not known whether the keys were kept",
            _ => "the keys were not kept",
        };
        failed(what, Exit::Failure, error)
    })
}

async fn read(at: &SecretRef, options: HttpOptions) -> Result<KeySecret, KubernetesError> {
    let deadline = Deadline::after(TIMEOUT);
    cluster(options, deadline).await?.secret(at, deadline).await
}

async fn cluster(options: HttpOptions, deadline: Deadline) -> Result<Cluster, KubernetesError> {
    let account = Path::new(SERVICE_ACCOUNT);
    let cluster = Cluster::find(&machine::environment(), account, options, deadline).await?;
    if cluster.is_unchecked() {
        ui::note(&format!(
            "the certificate of the cluster `{}` is not checked (`insecure-skip-tls-verify`): \
             whoever is in between can give you another key",
            cluster.name()
        ));
    }
    Ok(cluster)
}

fn failed(what: &str, unreached: Exit, error: KubernetesError) -> Failure {
    let exit = match &error {
        KubernetesError::NotKnown { .. } => Exit::Unknown,
        KubernetesError::Fetch { .. } | KubernetesError::Plugin { .. } => unreached,
        KubernetesError::Changed { .. } => Exit::Failure,
        _ => Exit::Usage,
    };
    let hint = error.hint();
    let failure = Failure::new(exit, what).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
