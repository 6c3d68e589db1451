//! What is demanded of evidence, as arguments: what may be waived, and what is wanted on top.
//!
//! A waiver is told on standard error each time, with what is then not known.

use clap::Args;
use verify::{CertificateTransparency, Demands, Intermediates, Logging, ProviderName, TimeSource};

use crate::ui;

/// What is demanded of evidence.
#[derive(Debug, Args)]
#[command(next_help_heading = "Demands")]
pub(crate) struct DemandArguments {
    /// Accept what is in no transparency log: then nobody but its signer need know of it, and without
    /// a timestamp nothing tells when it was signed.
    #[arg(long)]
    insecure_ignore_tlog: bool,

    /// Accept certificates that are in no certificate transparency log: then nobody but its authority
    /// need know of them.
    #[arg(long)]
    insecure_ignore_sct: bool,

    /// The old name of --insecure-ignore-tlog.
    #[arg(long, hide = true)]
    private_infrastructure: bool,

    /// Want a signed timestamp (RFC 3161) of a trusted authority, whatever a log says.
    #[arg(long)]
    use_signed_timestamps: bool,

    /// Accept bundles v0.3 with a chain of certificates, whose authorities may lead from the signer's
    /// certificate to one of the trust root's.
    #[arg(long)]
    allow_certificate_chain: bool,
}

impl DemandArguments {
    /// What is demanded.
    pub(crate) fn demands(&self) -> Demands {
        Demands {
            logging: match self.insecure_ignore_tlog || self.private_infrastructure {
                true => Logging::Waived,
                false => Logging::Required,
            },
            transparency: match self.insecure_ignore_sct {
                true => CertificateTransparency::Waived,
                false => CertificateTransparency::Required,
            },
            time: match self.use_signed_timestamps {
                true => TimeSource::SignedTimestamp,
                false => TimeSource::AnyTrusted,
            },
            intermediates: match self.allow_certificate_chain {
                true => Intermediates::BroughtAlong,
                false => Intermediates::OfTrustRoot,
            },
            provider: ProviderName::Required,
        }
    }

    /// Tells what is not known because of these flags.
    pub(crate) fn tell(&self) {
        if self.private_infrastructure {
            ui::note("--private-infrastructure is an old name of --insecure-ignore-tlog");
        }
        let Demands { logging, transparency, intermediates, .. } = self.demands();
        if logging == Logging::Waived {
            ui::warning(
                "no transparency log is asked for (--insecure-ignore-tlog): a stolen key can sign \
                 without anybody seeing it, and when it was signed is known only where a timestamp or \
                 a log of the trust root tells",
            );
        }
        if transparency == CertificateTransparency::Waived {
            ui::warning(
                "no certificate transparency is asked for (--insecure-ignore-sct): the authority can \
                 certify anybody without anybody seeing it",
            );
        }
        if intermediates == Intermediates::BroughtAlong {
            ui::warning(
                "authorities that a bundle brings along are believed (--allow-certificate-chain): who \
                 may certify signers is up to every authority below the trust root's",
            );
        }
    }
}
