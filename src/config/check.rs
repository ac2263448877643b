//! From settings that have the right shape to a [`Config`] that makes sense.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_config::default_provider::region::DefaultRegionChain;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use url::Url;

use super::layers::Layers;
use super::{
    AwsConfig, AwsIdentity, Config, LogConfig, Mistake, QuotaConfig, RegionConfig, Settings, Shown,
    Trust, Variables,
};
use crate::files;
use crate::region::{Region, WITH_FACE_LIVENESS};
use crate::telemetry::otlp;

/// Asking the instance metadata service takes milliseconds where there is one;
/// where there is none, the SDK tries for far longer than a person waits.
const REGION_LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest file of authorities that is read, in bytes: the system's have a quarter.
const MAX_BUNDLE: u64 = 1024 * 1024;

/// Certificate authorities from a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaBundle {
    /// Where they were read from.
    pub path: PathBuf,
    pem: Vec<u8>,
}

impl CaBundle {
    /// Reads certificates in PEM form from `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no certificate or a broken one.
    pub fn read(path: &Path) -> Result<Self, String> {
        let pem = files::read(path, MAX_BUNDLE)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
            let number = index + 1;
            let certificate = certificate.map_err(|error| {
                format!(
                    "certificate {number} in {} is not PEM: {error}",
                    path.display()
                )
            })?;
            roots.add(certificate).map_err(|error| {
                format!(
                    "certificate {number} in {} is no authority: {error}",
                    path.display()
                )
            })?;
        }
        if roots.is_empty() {
            return Err(format!(
                "{} holds no certificate in PEM form",
                path.display()
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            pem,
        })
    }

    /// The certificates.
    pub fn certificates(&self) -> impl Iterator<Item = CertificateDer<'static>> {
        // All were good when they were read.
        CertificateDer::pem_slice_iter(&self.pem).filter_map(Result::ok)
    }

    /// The certificates as they stand in the file.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }
}

/// The region that AWS's own configuration names, asked only if it is needed.
pub(super) async fn region_of_aws(settings: &Settings) -> Option<Region> {
    if settings.region.is_some() || !settings.regions.is_empty() {
        return None;
    }
    let mut chain = DefaultRegionChain::builder();
    if let Some(profile) = &settings.profile {
        chain = chain.profile_name(profile);
    }
    let chain = chain.build();
    let region = tokio::time::timeout(REGION_LOOKUP_TIMEOUT, chain.region())
        .await
        .ok()??;
    Region::parse(region.as_ref()).ok()
}

/// Checks values and their combinations, and notes what is wrong.
#[derive(Debug)]
pub(super) struct Check<'a> {
    layers: &'a Layers,
    mistakes: &'a mut Vec<Mistake>,
}

impl<'a> Check<'a> {
    pub(super) fn new(layers: &'a Layers, mistakes: &'a mut Vec<Mistake>) -> Self {
        Self { layers, mistakes }
    }

    /// `None` when there is a mistake without which no `Config` can be made;
    /// others may have been noted all the same.
    pub(super) fn config(
        mut self,
        settings: &Settings,
        found_region: Option<Region>,
        variables: &Variables,
    ) -> Option<Config> {
        self.bounds(settings);
        let otlp = otlp::Settings::read(variables, self.mistakes);
        let regions = self.regions(settings, found_region);
        let aws = AwsConfig {
            identity: self.identity(settings, variables),
            trust: self.trust(settings)?,
            connect_timeout: settings.connect_timeout,
            read_timeout: settings.read_timeout,
        };
        let callers = self.callers(settings);
        let tls = self.tls(settings);
        let admin_tls = self.admin_tls(settings);
        let identity = self.callers_identity(settings);
        let reflection = settings.auth.reflection;
        self.open_to_anybody(settings, &identity);
        let shared = self.shared_store(settings);
        Some(Config {
            listen: settings.listen,
            admin_listen: settings.admin_listen,
            regions: regions?,
            aws,
            server: settings.server.clone(),
            quota: QuotaConfig {
                queue: settings.waiting(),
                share: settings.quota.share,
                shared,
            },
            ledger: Self::ledger(settings),
            callers,
            tls,
            admin_tls,
            identity,
            reflection,
            log: LogConfig {
                format: settings.log_format,
                debug: settings.debug,
            },
            telemetry: settings.telemetry.clone(),
            otlp,
            shown: Shown::default(),
        })
    }

    pub(super) fn mistake(&mut self, key: &str, problem: impl Into<String>) {
        let place = self.layers.source(key).place(key);
        self.mistakes.push(Mistake {
            place,
            problem: problem.into(),
        });
    }

    /// Whether a source could not be read, and what it sets is not known.
    pub(super) fn is_incomplete(&self) -> bool {
        self.layers.are_incomplete()
    }

    /// Whether a mistake was noted at the place of `key`.
    pub(super) fn is_mistaken(&self, key: &str) -> bool {
        let place = self.layers.source(key).place(key);
        self.mistakes.iter().any(|mistake| mistake.place == place)
    }

    fn regions(&mut self, settings: &Settings, found: Option<Region>) -> Option<Vec<RegionConfig>> {
        let endpoint = self.endpoint("endpoint_url", settings.endpoint_url.as_deref());
        if settings.regions.is_empty() {
            let region = match (&settings.region, found) {
                (Some(name), _) => self.region("region", name, settings)?,
                (None, Some(found)) => self.listed("region", found, settings)?,
                // Set, and found wanting already.
                (None, None) if !self.layers.lack("region") => return None,
                (None, None) => {
                    self.mistake("region", format!(
                        "is set nowhere: set --region, FACE_LIVENESS_REGION, AWS_REGION or [[regions]] to one of {}",
                        WITH_FACE_LIVENESS.join(", ")
                    ));
                    return None;
                }
            };
            return Some(vec![RegionConfig {
                limits: self.limits(settings, &region, None),
                region,
                endpoint_url: endpoint,
            }]);
        }
        if settings.endpoint_url.is_some()
            && settings.regions.len() > 1
            && !self.layers.is_of_aws("endpoint_url")
        {
            self.mistake(
                "endpoint_url",
                "is ambiguous with several [[regions]]: set endpoint_url in each of them",
            );
        }
        let regions = self.listed_regions(settings, endpoint);
        self.default_first(settings, regions)
    }

    fn listed_regions(&mut self, settings: &Settings, endpoint: Option<Url>) -> Vec<RegionConfig> {
        let mut regions: Vec<RegionConfig> = Vec::new();
        for (index, entry) in settings.regions.iter().enumerate() {
            let own = self.endpoint(
                &format!("regions[{index}].endpoint_url"),
                entry.endpoint_url.as_deref(),
            );
            let key = format!("regions[{index}].name");
            if entry.name.is_empty() {
                self.mistake(&key, "is missing: each of [[regions]] needs a name");
                continue;
            }
            let Some(region) = self.region(&key, &entry.name, settings) else {
                continue;
            };
            if regions.iter().any(|earlier| earlier.region == region) {
                self.mistake(&key, format!("{region} is listed twice"));
            }
            regions.push(RegionConfig {
                limits: self.limits(settings, &region, Some(entry)),
                region,
                endpoint_url: own.or_else(|| endpoint.clone()),
            });
        }
        regions
    }

    /// `region` picks the default among `[[regions]]`.
    fn default_first(
        &mut self,
        settings: &Settings,
        mut regions: Vec<RegionConfig>,
    ) -> Option<Vec<RegionConfig>> {
        if let Some(name) = &settings.region {
            match regions
                .iter()
                .position(|entry| entry.region.as_str() == name)
            {
                Some(index) => regions[..=index].rotate_right(1),
                None => self.mistake(
                    "region",
                    format!("{name} is not among the [[regions]], which are all that is served"),
                ),
            }
        }
        (!regions.is_empty()).then_some(regions)
    }

    fn region(&mut self, key: &str, name: &str, settings: &Settings) -> Option<Region> {
        match Region::parse(name) {
            Ok(region) => self.listed(key, region, settings),
            Err(error) => {
                self.mistake(key, error.to_string());
                None
            }
        }
    }

    fn listed(&mut self, key: &str, region: Region, settings: &Settings) -> Option<Region> {
        if region.has_face_liveness() || settings.allow_unlisted_region {
            return Some(region);
        }
        self.mistake(
            key,
            format!(
                "{region} has no Face Liveness; the regions that have it are {} \
             (--allow-unlisted-region accepts a newer one)",
                WITH_FACE_LIVENESS.join(", ")
            ),
        );
        None
    }

    fn endpoint(&mut self, key: &str, text: Option<&str>) -> Option<Url> {
        let problem = match Url::parse(text?) {
            Err(error) => format!("{error}; write it like http://127.0.0.1:4580"),
            Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
                "must begin with http:// or https:// and name a host".to_owned()
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                "must not carry a user name or password; AWS credentials come from the credential chain".to_owned()
            }
            Ok(url) => return Some(url),
        };
        self.mistake(key, problem);
        None
    }

    fn identity(&mut self, settings: &Settings, variables: &Variables) -> AwsIdentity {
        if settings.no_sign_request {
            return AwsIdentity::Anonymous;
        }
        const PAIR: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let has = |name| {
            let value = variables.get(name);
            value.is_some_and(|value| !value.trim().is_empty())
        };
        for (set, unset) in [(PAIR[0], PAIR[1]), (PAIR[1], PAIR[0])] {
            // The SDK would pass over half a pair without a word and sign with
            // whatever it finds next.
            if has(set) && !has(unset) {
                self.mistakes.push(Mistake {
                    place: unset.to_owned(),
                    problem: format!("is not set, but {set} is: set both, or neither"),
                });
            }
        }
        AwsIdentity::DefaultChain {
            profile: settings.profile.clone(),
        }
    }

    fn trust(&mut self, settings: &Settings) -> Option<Trust> {
        match (&settings.ca_bundle, settings.no_verify_ssl) {
            (Some(_), true) => {
                self.mistake(
                    "ca_bundle",
                    "has no effect together with no_verify_ssl: set one of them",
                );
                None
            }
            (None, true) => Some(Trust::Anything),
            (None, false) => Some(Trust::System),
            (Some(path), false) => match CaBundle::read(path) {
                Ok(bundle) => Some(Trust::Bundle(bundle)),
                Err(problem) => {
                    self.mistake("ca_bundle", problem);
                    None
                }
            },
        }
    }
}
