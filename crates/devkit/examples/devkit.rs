//! Starts the issuer and the registry, says where they are, and stays until Ctrl-C.
//!
//! FOR DEVELOPMENT ONLY. `--basic` or `--bearer` puts the registry behind user `dev`, password
//! `dev`; `--no-referrers` switches its referrers API off; `--es256` signs tokens with ECDSA.

use std::sync::Arc;
use std::time::SystemTime;

use devkit::Clock;
use devkit::image::{Content, Image, ImageIndex};
use devkit::issuer::{Algorithm, EmailUser, GithubWorkflow, GitlabJob, Issuer, IssuerOptions};
use devkit::registry::{Access, Behaviour, Credentials, Referrers, Registry, RegistryOptions};
use evidence::UnixTime;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut behaviour = Behaviour::default();
    let mut options = IssuerOptions::new(system_clock());
    let credentials = Credentials { user: "dev".to_owned(), password: "dev".to_owned() };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--basic" => behaviour.access = Access::Basic(credentials.clone()),
            "--bearer" => {
                behaviour.access = Access::Bearer {
                    credentials: credentials.clone(),
                    anonymous_pull: true,
                    realm: None,
                };
            }
            "--no-referrers" => behaviour.referrers = Referrers::Off,
            "--es256" => options.algorithm = Algorithm::Es256,
            other => return Err(format!("no such option: {other}").into()),
        }
    }
    let issuer = Issuer::start(options).await?;
    let registry = Registry::start(RegistryOptions { behaviour, ..Default::default() }).await?;

    println!("FOR DEVELOPMENT ONLY: keys and images are in memory and end with this program");
    let index = ImageIndex::greeting("good day")?;
    for Image { config, layer, manifest, .. } in &index.images {
        for blob in [config, layer] {
            registry.plant_blob("dev/greeting", blob.digest, blob.bytes.clone())?;
        }
        let digest = manifest.digest.to_string();
        let bytes = manifest.bytes.clone();
        registry.plant_manifest("dev/greeting", &digest, manifest.media_type, bytes)?;
    }
    let Content { media_type, bytes, .. } = index.manifest;
    registry.plant_manifest("dev/greeting", "latest", media_type, bytes)?;
    println!("registry      {}", registry.address());
    println!("an image      {}/dev/greeting:latest", registry.address());
    println!("issuer        {}", issuer.url());
    let workflow =
        GithubWorkflow::new("octo-org", "app", ".github/workflows/release.yml", "refs/heads/main");
    println!("GitHub token  {}", issuer.mint(&workflow, "sigstore")?);
    let job = GitlabJob::new("my-group", "app", "main");
    println!("GitLab token  {}", issuer.mint(&job, "sigstore")?);
    println!("email token   {}", issuer.mint(&EmailUser::new("dev@example.com"), "sigstore")?);
    println!("a workflow of that identity would have:");
    for (name, value) in issuer.open_job(workflow)?.environment() {
        println!("export {name}='{value}'");
    }

    tokio::signal::ctrl_c().await?;
    issuer.stop().await;
    registry.stop().await;
    Ok(())
}

fn system_clock() -> Clock {
    Arc::new(|| {
        let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        UnixTime::from_seconds(i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
    })
}
