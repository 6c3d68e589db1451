//! The files that tell `kubectl` which cluster to speak to, and as whom.
//!
//! Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files", and `kubeconfig (v1)`
//! of the reference: the files of `KUBECONFIG` are merged, the first to say something wins; else it is
//! `~/.kube/config`. Relative paths are relative to the file that they stand in. Ways to be somebody
//! else that are not carried out here (`as`, `auth-provider`) are errors; fields that are not known
//! here are passed over, as by `kubectl`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use zeroize::Zeroizing;

use super::plugin::Plugin;
use super::yaml::{self, TEXT_SIZE_MAX, YamlError};
use crate::environment::Environment;
use crate::secret::Secret;

/// Files merged.
const FILES_MAX: usize = 32;

/// Longest certificate, key or token read from a file of its own, in bytes.
const PART_SIZE_MAX: u64 = 1 << 20;

/// Why a kubeconfig cannot be used. What is in it is not quoted but for names.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is too long.
    #[error("{} is longer than {size_max} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most read.
        size_max: u64,
    },
    /// A list out of all proportion.
    #[error("KUBECONFIG names more than {FILES_MAX} files")]
    TooManyFiles,
    /// Not YAML.
    #[error("{}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: YamlError,
    },
    /// YAML, but no kubeconfig.
    #[error("{}: wanted clusters, users and contexts as `kubectl config view` prints them", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
    },
    /// Nothing says which context to use.
    #[error("no `current-context` is set")]
    NoContext,
    /// Something is named that is not there.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A field that has to be there, or has to be something else.
    #[error("the {what} `{name}`: wanted {wanted}, found {found}")]
    Field {
        /// What kind of thing it is said of.
        what: &'static str,
        /// Its name.
        name: String,
        /// What should be there.
        wanted: &'static str,
        /// What is there.
        found: &'static str,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Document {
    #[serde(deserialize_with = "or_default")]
    current_context: String,
    #[serde(deserialize_with = "or_default")]
    contexts: Vec<NamedContext>,
    #[serde(deserialize_with = "or_default")]
    clusters: Vec<NamedCluster>,
    #[serde(deserialize_with = "or_default")]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    /// Nobody in particular may be written as null.
    #[serde(default, deserialize_with = "or_default")]
    user: User,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default, deserialize_with = "or_default")]
    user: String,
}

/// A cluster as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: bool,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    proxy_url: Option<String>,
    extensions: Option<Vec<Extension>>,
}

/// What a cluster says to plugins.
#[derive(Deserialize)]
struct Extension {
    name: String,
    #[serde(default)]
    extension: Value,
}

/// A user as it is written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    token: Option<Secret>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
    username: Option<String>,
    password: Option<Secret>,
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<Secret>,
    client_key: Option<PathBuf>,
    client_key_data: Option<Secret>,
    exec: Option<Plugin>,
    auth_provider: Option<Value>,
    r#as: Option<Value>,
    as_uid: Option<Value>,
    as_groups: Option<Value>,
    as_user_extra: Option<Value>,
}

/// Null where something is left out, as Go writes it.
fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// PEM, and where it stands, for errors.
pub(super) struct Pem {
    pub(super) name: PathBuf,
    pub(super) text: Zeroizing<Vec<u8>>,
}

/// The cluster and the user of the current context.
pub(super) struct Chosen {
    /// The cluster's name.
    pub(super) name: String,
    pub(super) server: String,
    pub(super) server_name: Option<String>,
    pub(super) unchecked: bool,
    pub(super) authority: Option<Pem>,
    pub(super) proxy: Option<String>,
    /// What the cluster has to say to plugins.
    pub(super) plugin_config: Option<Value>,
    pub(super) user: Login,
}

/// How a user proves who he is.
#[derive(Default)]
pub(super) struct Login {
    pub(super) token: Option<Secret>,
    /// User and password.
    pub(super) basic: Option<(String, Secret)>,
    pub(super) certificate: Option<(Pem, Pem)>,
    pub(super) plugin: Option<Plugin>,
}

impl Login {
    /// Whether there is no need to ask a plugin.
    pub(super) fn is_complete(&self) -> bool {
        self.token.is_some() || self.basic.is_some() || self.certificate.is_some()
    }
}

/// What the files say; `None` if there are none, or nothing in them.
pub(super) fn read(environment: &Environment) -> Result<Option<Chosen>, KubeconfigError> {
    let mut files = Vec::new();
    for path in paths(environment)? {
        let Some(text) = contents(&path, TEXT_SIZE_MAX)? else { continue };
        let shape = || KubeconfigError::Shape { path: path.clone() };
        let text = std::str::from_utf8(&text).map_err(|_| shape())?;
        let tree = yaml::parse(text)
            .map_err(|source| KubeconfigError::Yaml { path: path.clone(), source })?;
        if tree.is_null() {
            continue;
        }
        // What serde says may quote what is there.
        let document: Document = evidence::json::from_tree(tree).map_err(|_| shape())?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        files.push((folder, document));
    }
    let is_empty = |document: &Document| {
        document.current_context.is_empty()
            && document.contexts.is_empty()
            && document.clusters.is_empty()
    };
    if files.iter().all(|(_, document)| is_empty(document)) {
        return Ok(None);
    }
    choose(files).map(Some)
}

fn paths(environment: &Environment) -> Result<Vec<PathBuf>, KubeconfigError> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    if let Some(list) = environment.get("KUBECONFIG") {
        let named = list.expose().split(separator).filter(|path| !path.is_empty());
        let paths: Vec<_> = named.map(PathBuf::from).take(FILES_MAX + 1).collect();
        if paths.len() > FILES_MAX {
            return Err(KubeconfigError::TooManyFiles);
        }
        return Ok(paths);
    }
    let home = environment.get("HOME").map(|home| PathBuf::from(home.expose()));
    Ok(home.map(|home| home.join(".kube/config")).into_iter().collect())
}

/// A file's content; `None` if it is not there.
fn contents(path: &Path, size_max: u64) -> Result<Option<Zeroizing<Vec<u8>>>, KubeconfigError> {
    let failed = |source| KubeconfigError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut content = Zeroizing::new(Vec::new());
    file.take(size_max + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > size_max {
        return Err(KubeconfigError::TooLong { path: path.to_owned(), size_max });
    }
    Ok(Some(content))
}

/// A file that is named and has to be there.
pub(super) fn named(path: &Path) -> Result<Zeroizing<Vec<u8>>, KubeconfigError> {
    contents(path, PART_SIZE_MAX)?.ok_or_else(|| KubeconfigError::Read {
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })
}

fn choose(files: Vec<(PathBuf, Document)>) -> Result<Chosen, KubeconfigError> {
    let current = files.iter().map(|(_, document)| document.current_context.clone());
    let current = current.into_iter().find(|name| !name.is_empty());
    let current = current.ok_or(KubeconfigError::NoContext)?;
    let unknown = |what, name: &str| KubeconfigError::Unknown { what, name: name.to_owned() };
    let (mut contexts, mut clusters, mut users) = (Vec::new(), Vec::new(), Vec::new());
    for (folder, document) in files {
        contexts.extend(document.contexts);
        clusters.extend(document.clusters.into_iter().map(|cluster| (folder.clone(), cluster)));
        users.extend(document.users.into_iter().map(|user| (folder.clone(), user)));
    }
    let context = contexts.into_iter().find(|context| context.name == current);
    let Context { cluster, user } = context.ok_or_else(|| unknown("context", &current))?.context;
    let found = clusters.into_iter().find(|(_, found)| found.name == cluster);
    let (folder, NamedCluster { name, cluster }) =
        found.ok_or_else(|| unknown("cluster", &cluster))?;
    let login = match user.as_str() {
        "" => Login::default(),
        user => {
            let found = users.into_iter().find(|(_, found)| found.name == user);
            let (folder, user) = found.ok_or_else(|| unknown("user", user))?;
            login(&folder, user)?
        }
    };
    let authority = pem(
        &folder,
        ("cluster", &name, "certificate-authority"),
        cluster.certificate_authority.as_deref(),
        cluster.certificate_authority_data.as_deref(),
    )?;
    if authority.is_some() && cluster.insecure_skip_tls_verify {
        return Err(KubeconfigError::Field {
            what: "cluster",
            name,
            wanted: "an authority, or `insecure-skip-tls-verify`",
            found: "both",
        });
    }
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let to_plugins = cluster.extensions.into_iter().flatten();
    let to_plugins =
        to_plugins.into_iter().find(|one| one.name == "client.authentication.k8s.io/exec");
    Ok(Chosen {
        name,
        server: cluster.server,
        server_name: said(cluster.tls_server_name),
        unchecked: cluster.insecure_skip_tls_verify,
        authority,
        proxy: said(cluster.proxy_url),
        plugin_config: to_plugins.map(|one| one.extension),
        user: login,
    })
}

fn login(folder: &Path, NamedUser { name, user }: NamedUser) -> Result<Login, KubeconfigError> {
    let field =
        |wanted, found| KubeconfigError::Field { what: "user", name: name.clone(), wanted, found };
    if user.auth_provider.is_some() {
        return Err(field("a plugin in `exec`", "`auth-provider`, which Kubernetes has given up"));
    }
    if [&user.r#as, &user.as_uid, &user.as_groups, &user.as_user_extra]
        .iter()
        .any(|it| it.is_some())
    {
        return Err(field("a user who acts for himself", "impersonation (`as`)"));
    }
    let certificate = pem(
        folder,
        ("user", &name, "client-certificate"),
        user.client_certificate.as_deref(),
        user.client_certificate_data.as_ref().map(Secret::expose),
    )?;
    let key = pem(
        folder,
        ("user", &name, "client-key"),
        user.client_key.as_deref(),
        user.client_key_data.as_ref().map(Secret::expose),
    )?;
    let certificate = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(field("a client certificate and its key", "one of them")),
    };
    // The file is the fresher of the two (reference of `AuthInfo`, `tokenFile`).
    let fresh = match user.token_file.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => {
            let token = named(&folder.join(path))?;
            let token = std::str::from_utf8(&token).map_err(|_| field("a token", "no text"))?;
            Some(Secret::new(token.trim().to_owned()))
        }
        None => None,
    };
    let said = |token: &Secret| !token.expose().is_empty();
    let token = fresh.filter(said).or(user.token.filter(said));
    let basic = user.username.filter(|name| !name.is_empty());
    let basic =
        basic.map(|name| (name, user.password.unwrap_or_else(|| Secret::new(String::new()))));
    let plugin = user.exec.map(|plugin| plugin.relative_to(folder));
    Ok(Login { token, basic, certificate, plugin })
}

/// PEM that stands in the file as base64, else in a file of its own.
fn pem(
    folder: &Path,
    (what, name, field): (&'static str, &str, &'static str),
    path: Option<&Path>,
    data: Option<&str>,
) -> Result<Option<Pem>, KubeconfigError> {
    if let Some(data) = data.filter(|data| !data.is_empty()) {
        let text = STANDARD.decode(data.trim()).map_err(|_| KubeconfigError::Field {
            what,
            name: name.to_owned(),
            wanted: "base64 in every field that ends with `-data`",
            found: "something else",
        })?;
        let name = PathBuf::from(format!("{field}-data of the {what} `{name}`"));
        return Ok(Some(Pem { name, text: Zeroizing::new(text) }));
    }
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
    let path = folder.join(path);
    let text = named(&path)?;
    Ok(Some(Pem { name: path, text }))
}
