//! Where Face Liveness exists.

/// The regions with Face Liveness, as AWS's endpoints and quotas page lists them.
pub const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "ap-south-1",
    "ap-northeast-1",
    "sa-east-1",
    "ap-southeast-5",
    "ap-southeast-7",
];

/// The region of requests that name none: unsigned ones, when signatures are not verified.
pub const DEFAULT_REGION: &str = "us-east-1";

/// Whether the name is shaped like a region's: `us-east-1`, `us-gov-west-1`.
pub(crate) fn is_well_formed(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [words @ .., number] = parts.as_slice() else {
        return false;
    };
    let is_word =
        |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    words.len() >= 2
        && words.iter().all(is_word)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The region in an AWS host name, `rekognition.eu-west-1.amazonaws.com`; none for other hosts.
pub(crate) fn of_host(host: &str) -> Option<&str> {
    let rest = host
        .strip_prefix("rekognition.")
        .or_else(|| host.strip_prefix("rekognition-fips."))?;
    let region = rest.split('.').next()?;
    is_well_formed(region).then_some(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_region_is_well_formed() {
        for region in REGIONS {
            assert!(is_well_formed(region), "{region}");
        }
        for bad in ["", "us", "us-east", "us-east-", "US-EAST-1", "us--1", "1"] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }

    #[test]
    fn aws_host_names_tell_their_region() {
        assert_eq!(
            of_host("rekognition.eu-west-1.amazonaws.com"),
            Some("eu-west-1")
        );
        assert_eq!(of_host("127.0.0.1:4580"), None);
    }
}
