//! ID tokens of Google's service accounts: of a build in Cloud Build, of a machine, or made by
//! another account for one.
//!
//! Google documentation, "Get an ID token" and "Verify the identity of instances" (`format=full`);
//! `projects.serviceAccounts.generateIdToken` with `includeEmail`. The subject is the account's number,
//! which names nobody; the address does.

use evidence::UnixTime;
use serde_json::json;

use super::claims::{Claimant, Claims, add_times, claims};

/// How long a token lives, in seconds: Google's documentation.
const LIFETIME_S: i64 = 3600;

/// A service account.
#[derive(Clone, Debug)]
pub struct GoogleServiceAccount {
    /// Its address.
    pub email: String,
    /// Its number, of 21 digits.
    pub unique_id: String,
    /// The machine that asks for itself, where one does.
    pub machine: Option<GoogleMachine>,
}

/// A machine of Compute Engine.
#[derive(Clone, Debug)]
pub struct GoogleMachine {
    /// Identifier of its project.
    pub project_id: String,
    /// Number of its project.
    pub project_number: u64,
    /// Where it is.
    pub zone: String,
    /// Its number.
    pub instance_id: String,
    /// Its name.
    pub instance_name: String,
    /// When it was made, in seconds since 1970.
    pub created: i64,
}

impl GoogleServiceAccount {
    /// An account that another one asks for, or a build.
    #[must_use]
    pub fn new(email: &str) -> Self {
        let unique_id = "104029292853099978293".to_owned();
        Self { email: email.to_owned(), unique_id, machine: None }
    }

    /// The account that Cloud Build has in a project by default.
    #[must_use]
    pub fn cloud_build(project_number: u64) -> Self {
        Self::new(&format!("{project_number}@cloudbuild.gserviceaccount.com"))
    }

    /// The same, asked for by a machine that it runs on.
    #[must_use]
    pub fn on_machine(mut self) -> Self {
        self.machine = Some(GoogleMachine {
            project_id: "my-project".to_owned(),
            project_number: 739_419_398_126,
            zone: "us-west1-a".to_owned(),
            instance_id: "152986662232938449".to_owned(),
            instance_name: "example".to_owned(),
            created: 1_504_903_321,
        });
        self
    }
}

impl Claimant for GoogleServiceAccount {
    fn claims(&self, issuer: &str, audience: &str, now: UnixTime) -> Claims {
        let mut claims = claims([
            ("iss", json!(issuer)),
            ("sub", json!(self.unique_id)),
            ("aud", json!(audience)),
            ("azp", json!(self.unique_id)),
            ("email", json!(self.email)),
            ("email_verified", json!(true)),
        ]);
        if let Some(machine) = &self.machine {
            let of = json!({"compute_engine": {
                "project_id": machine.project_id,
                "project_number": machine.project_number,
                "zone": machine.zone,
                "instance_id": machine.instance_id,
                "instance_name": machine.instance_name,
                "instance_creation_timestamp": machine.created,
            }});
            claims.insert("google".to_owned(), of);
        }
        add_times(&mut claims, now, 0, LIFETIME_S);
        // Google sends no `nbf`.
        claims.remove("nbf");
        claims
    }

    /// There is none: whoever asks has to say.
    fn default_audience(&self, issuer: &str) -> String {
        issuer.to_owned()
    }
}
