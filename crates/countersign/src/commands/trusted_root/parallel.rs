//! The flags that described services before one flag described each: several flags side by side,
//! the first of each belonging together, then the second.
//!
//! Deprecated in Cosign, and read on as it reads them.

use clap::Args;

use crate::arguments::specification::Specification;
use crate::exit::Failure;

/// From when on a log is believed whose flags do not say: Cosign's choice.
const ALWAYS: &str = "1970-01-01T00:00:00Z";

/// All of them.
#[derive(Debug, Args)]
pub(super) struct ParallelFlags {
    #[arg(long, hide = true, value_name = "FILE", conflicts_with = "fulcio")]
    certificate_chain: Vec<String>,
    #[arg(long, hide = true, value_name = "URL", conflicts_with = "fulcio")]
    fulcio_uri: Vec<String>,
    #[arg(long, hide = true, value_name = "FILE", conflicts_with = "ctfe")]
    ctfe_key: Vec<String>,
    #[arg(long, hide = true, value_name = "URL", conflicts_with = "ctfe")]
    ctfe_url: Vec<String>,
    #[arg(long, hide = true, value_name = "TIME", conflicts_with = "ctfe")]
    ctfe_start_time: Vec<String>,
    #[arg(long, hide = true, value_name = "TIME", conflicts_with = "ctfe")]
    ctfe_end_time: Vec<String>,
    #[arg(long, hide = true, value_name = "FILE[,ORIGIN]", conflicts_with = "rekor")]
    rekor_key: Vec<String>,
    #[arg(long, hide = true, value_name = "URL", conflicts_with = "rekor")]
    rekor_url: Vec<String>,
    #[arg(long, hide = true, value_name = "TIME", conflicts_with = "rekor")]
    rekor_start_time: Vec<String>,
    #[arg(long, hide = true, value_name = "TIME", conflicts_with = "rekor")]
    rekor_end_time: Vec<String>,
    #[arg(long, hide = true, value_name = "FILE", conflicts_with = "tsa")]
    timestamp_certificate_chain: Vec<String>,
    #[arg(long, hide = true, value_name = "URL", conflicts_with = "tsa")]
    timestamp_uri: Vec<String>,
}

/// Values that describe one thing of each service: the flag they came with, the key that means the
/// same now, and the values.
type Column<'a> = (&'static str, &'static str, &'a [String]);

impl ParallelFlags {
    /// The certificate authorities.
    pub(super) fn fulcio(&self) -> Result<Vec<Specification<'_>>, Failure> {
        let chains = ("certificate-chain", "certificate-chain", &self.certificate_chain[..]);
        services(chains, &[("fulcio-uri", "url", &self.fulcio_uri)])
    }

    /// The certificate transparency logs.
    pub(super) fn ctfe(&self) -> Result<Vec<Specification<'_>>, Failure> {
        let more: [Column<'_>; 3] = [
            ("ctfe-url", "url", &self.ctfe_url),
            ("ctfe-start-time", "start-time", &self.ctfe_start_time),
            ("ctfe-end-time", "end-time", &self.ctfe_end_time),
        ];
        Ok(always(services(("ctfe-key", "public-key", &self.ctfe_key), &more)?))
    }

    /// The transparency logs.
    pub(super) fn rekor(&self) -> Result<Vec<Specification<'_>>, Failure> {
        let more: [Column<'_>; 3] = [
            ("rekor-url", "url", &self.rekor_url),
            ("rekor-start-time", "start-time", &self.rekor_start_time),
            ("rekor-end-time", "end-time", &self.rekor_end_time),
        ];
        let mut logs = services(("rekor-key", "public-key", &self.rekor_key), &more)?;
        for (log, key) in logs.iter_mut().zip(&self.rekor_key) {
            // The origin of a v2 log stands behind its key.
            if let Some((path, origin)) = key.split_once(',') {
                log.set("public-key", path);
                log.set("origin", origin);
            }
        }
        Ok(always(logs))
    }

    /// The timestamp authorities.
    pub(super) fn tsa(&self) -> Result<Vec<Specification<'_>>, Failure> {
        let chains = &self.timestamp_certificate_chain[..];
        let chains = ("timestamp-certificate-chain", "certificate-chain", chains);
        services(chains, &[("timestamp-uri", "url", &self.timestamp_uri)])
    }
}

fn always(mut logs: Vec<Specification<'_>>) -> Vec<Specification<'_>> {
    for log in logs.iter_mut().filter(|log| log.get("start-time").is_none()) {
        log.set("start-time", ALWAYS);
    }
    logs
}

/// One service for each value of the first column. A value that belongs to none of them is an
/// error: Cosign passes it over.
fn services<'a>(first: Column<'a>, more: &[Column<'a>]) -> Result<Vec<Specification<'a>>, Failure> {
    let (flag, key, values) = first;
    let mut services: Vec<_> =
        values.iter().map(|value| Specification::of_flag(flag, value, key)).collect();
    for (other, key, values) in more {
        if values.len() > services.len() {
            let message = format!(
                "--{other} is given {} times and --{flag} {} times: each belongs to one of those",
                values.len(),
                services.len(),
            );
            return Err(Failure::usage(message));
        }
        for (service, value) in services.iter_mut().zip(*values) {
            service.set(key, value);
        }
    }
    Ok(services)
}
