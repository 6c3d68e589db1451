//! References to keys in key management services, in the forms that policy-controller accepts
//! (`pkg/apis/policy/common`).

use std::fmt;
use std::str::FromStr;

const SCHEMES: [&str; 4] = ["awskms://", "azurekms://", "gcpkms://", "hashivault://"];

const AWS_PARTITIONS: [&str; 3] = ["aws", "aws-us-gov", "aws-cn"];

/// A well-formed reference. Whether such a key exists is not asked here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsReference(String);

/// Why text is no such reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseKmsError {
    /// Another scheme, or none.
    #[error("wanted a key reference that begins with {}", SCHEMES.join(", "))]
    Scheme,
    /// AWS: neither a key's nor an alias' resource name. Bare identifiers and bare aliases would
    /// mean something else in each account and region, so they are refused.
    #[error(
        "wanted awskms://[HOST:PORT]/arn:aws:kms:REGION:ACCOUNT:key/ID or …:alias/NAME in full"
    )]
    AwsName,
    /// AWS: an endpoint that is not `host:port`.
    #[error("wanted HOST:PORT or nothing between awskms:// and the next slash")]
    AwsEndpoint,
}

impl KmsReference {
    /// The reference as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KmsReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KmsReference {
    type Err = ParseKmsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return Err(ParseKmsError::Scheme);
        }
        if let Some(aws) = text.strip_prefix("awskms://") {
            check_aws(aws)?;
        }
        Ok(Self(text.to_owned()))
    }
}

/// `[HOST:PORT]/ARN`, the ARN of a key or an alias.
fn check_aws(reference: &str) -> Result<(), ParseKmsError> {
    let (endpoint, name) = reference.split_once('/').ok_or(ParseKmsError::AwsName)?;
    // The likely slip is one slash too few, which puts the name where the endpoint belongs.
    if endpoint.starts_with("arn") || endpoint.starts_with("alias") {
        return Err(ParseKmsError::AwsName);
    }
    if !endpoint.is_empty() && !is_host_and_port(endpoint) {
        return Err(ParseKmsError::AwsEndpoint);
    }
    if is_aws_name(name) { Ok(()) } else { Err(ParseKmsError::AwsName) }
}

/// What Go's `net.SplitHostPort` takes apart.
fn is_host_and_port(endpoint: &str) -> bool {
    match endpoint.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once("]:").is_some_and(|(host, port)| {
            !host.contains(['[', ']']) && !port.contains([':', '[', ']'])
        }),
        None => endpoint.matches(':').count() == 1 && !endpoint.contains(['[', ']']),
    }
}

/// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID` or `…:alias/NAME`.
fn is_aws_name(name: &str) -> bool {
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    let ["arn", partition, "kms", region, account, resource] = parts[..] else { return false };
    let region_ok = !region.is_empty()
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let account_ok = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let resource_ok = match resource.split_once('/') {
        Some(("key", id)) => is_key_id(id),
        Some(("alias", alias)) => !alias.contains('\n'),
        _ => false,
    };
    AWS_PARTITIONS.contains(&partition) && region_ok && account_ok && resource_ok
}

/// A UUID, with or without hyphens, perhaps with the `mrk-` of multi-region keys before it.
fn is_key_id(id: &str) -> bool {
    let id = id.strip_prefix("mrk-").unwrap_or(id);
    let groups: Vec<&str> = id.split('-').collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let hexadecimal = groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()));
    hexadecimal && (sizes == [8, 4, 4, 4, 12] || sizes == [32])
}
