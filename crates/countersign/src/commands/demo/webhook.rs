//! The last acts: the webhook with its policy and certificates, and what it says of four Pods.

use std::net::{IpAddr, Ipv4Addr};

use ::authority::SerialNumber;
use ::authority::certificate::server::create_server_chain;
use client::{Http, HttpOptions, TlsTrust};
use crypto::{KeyKind, KeyPair};
use evidence::Certificate;
use url::Url;

use super::pods::{Decision, Outcome, Wanted, Webhook};
use super::program::{CommandLine, Server};
use super::world::{Pushed, TRUST_CONFIG, World};
use crate::exit::{Exit, Failure};
use crate::ui::demo::Row;
use crate::{machine, ui};

/// Files, from the demo's directory. The last holds the certificate that an API server is given as
/// `caBundle`.
const POLICY: &str = "policy.yaml";
const TLS_CERT: &str = "webhook.pem";
const TLS_KEY: &str = "webhook-key.pem";
pub(super) const TLS_ROOT: &str = "webhook-root.pem";

/// Longest certificate file read, in bytes.
const CERTIFICATE_SIZE_MAX: usize = 64 * 1024;

/// What must become of the Pods, by their image's tag.
const TRIALS: [(&str, Wanted); 4] = [
    ("signed", Wanted::Admitted),
    ("unsigned", Wanted::Refused("no signature was found")),
    ("tampered", Wanted::Refused("it is about another artifact")),
    ("wrongly-signed", Wanted::Refused("it was signed by somebody else")),
];

impl World {
    /// Starts the webhook under a policy that wants this signer.
    pub(super) async fn start_webhook(
        &self,
        servers: &mut Vec<Server>,
        identity: &str,
    ) -> Result<Url, Failure> {
        let registry = self.registry_server.address().to_string();
        self.write(POLICY, policy(&registry, self.issuer.url(), identity).as_bytes())?;
        self.write_certificates()?;
        let line = CommandLine::new("admit")
            .option("--policy", POLICY)
            .option("--trust-config", TRUST_CONFIG)
            .option("--tls-cert", TLS_CERT)
            .option("--tls-key", TLS_KEY)
            .option("--listen", "127.0.0.1:0");
        let url = self.start(&line, servers).await?;
        ui::demo::fact("images", &format!("{registry}/octo-org/**"));
        ui::demo::fact("signer", identity);
        Ok(url)
    }

    /// Writes a certificate for 127.0.0.1, by an authority whose key is forgotten at once.
    fn write_certificates(&self) -> Result<(), Failure> {
        let generate = || {
            KeyPair::generate(KeyKind::EcdsaP256)
                .map_err(|error| Failure::new(Exit::Failure, "no key was made").caused_by(error))
        };
        let (root, server) = (generate()?, generate()?);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let serials = [(); 2].map(|()| SerialNumber::from_random(crypto::random::bytes()));
        let now = machine::now();
        let chain = create_server_chain(&root, &server, address, "Countersign demo", serials, now)
            .map_err(|error| {
                Failure::new(Exit::Failure, "no certificate was made").caused_by(error)
            })?;
        let pem = |certificates: &[Certificate]| -> String {
            certificates.iter().map(Certificate::to_pem).collect()
        };
        let (own, above) = chain.split_at(1);
        self.write(TLS_CERT, pem(own).as_bytes())?;
        self.write(TLS_ROOT, pem(above).as_bytes())?;
        server.write_new(&self.directory.join(TLS_KEY)).map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot write {TLS_KEY}")).caused_by(error)
        })
    }

    /// Creates a Pod of each image, in the order of [`TRIALS`], and checks what becomes of them.
    pub(super) async fn create_pods(
        &self,
        webhook: &Url,
        pushed: &[Pushed],
    ) -> Result<(), Failure> {
        let webhook = Webhook::new(self.webhook_client()?, webhook.clone());
        let mut rows = Vec::new();
        for ((tag, wanted), Pushed { image, digest }) in TRIALS.iter().zip(pushed) {
            let decision = webhook.create(tag, image).await?;
            self.write(&review_file(tag), &decision.review)?;
            let wrong = wanted.check(digest, &decision).err();
            rows.push(row(tag, decision, wrong));
        }
        ui::demo::verdicts(&rows);
        if let Some(row) = rows.iter().find(|row| row.wrong.is_some()) {
            let message = format!("what became of the Pod `{}` is not as it must be", row.image);
            return Err(Failure::new(Exit::Failure, message));
        }
        if rows.len() < TRIALS.len() {
            return Err(Failure::new(Exit::Failure, "not every Pod was tried"));
        }
        Ok(())
    }

    /// A client that trusts the webhook's authority and nobody else.
    fn webhook_client(&self) -> Result<Http, Failure> {
        let unusable = || Failure::new(Exit::Failure, "cannot speak to the webhook");
        let path = self.directory.join(TLS_ROOT);
        let pem = machine::read(&path, "certificate", CERTIFICATE_SIZE_MAX)?;
        let (_, der) = crypto::pem::decode(&pem).map_err(|error| unusable().caused_by(error))?;
        let options = HttpOptions {
            tls_trust: TlsTrust::Only(vec![der]),
            ..HttpOptions::new(concat!("countersign-demo/", env!("CARGO_PKG_VERSION")))
        };
        Http::new(options).map_err(|error| unusable().caused_by(error))
    }

    /// Writes a file into the demo's directory.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        machine::replace(&self.directory.join(name), content).map_err(|error| {
            Failure::new(Exit::Failure, format!("cannot write {name}")).caused_by(error)
        })
    }
}

/// File of the review about a Pod that `/validate` was asked.
pub(super) fn review_file(tag: &str) -> String {
    format!("review-{tag}.json")
}

/// The policy: whatever comes from that organization's repositories needs that signer.
fn policy(registry: &str, issuer: &str, identity: &str) -> String {
    format!(
        "\
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: released-by-octo-org
spec:
  images:
    - glob: \"{registry}/octo-org/**\"
  authorities:
    - name: release-workflow
      keyless:
        identities:
          - issuer: \"{issuer}\"
            subject: \"{identity}\"
"
    )
}

fn row(tag: &str, decision: Decision, wrong: Option<String>) -> Row {
    let (admitted, reason) = match decision.outcome {
        Outcome::Admitted => (true, format!("as {}", decision.image)),
        // Before that stand the field, the image and the policy, which are the same in all.
        Outcome::Refused { message, .. } => match message.split_once("refused: ") {
            Some((_, reason)) => (false, reason.to_owned()),
            None => (false, message),
        },
    };
    Row { image: format!("app:{tag}"), admitted, reason, wrong }
}
