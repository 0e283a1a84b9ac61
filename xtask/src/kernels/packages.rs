//! Which of Debian's kernel packages.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

/// The flavour for virtual machines: drivers for those alone, and so the smallest download.
const FLAVOUR: &str = "-cloud-amd64";

/// What the names of packages with a kernel's image begin with. Since Linux 6.19, Debian's `linux-image` of a version is
/// empty but for what it depends on.
pub const PREFIXES: [&str; 2] = ["linux-binary-", "linux-image-"];

/// A package with a kernel's image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Package {
    /// All numbers in the release, in order: versions are ordered as these are.
    numbers: Vec<u32>,
    /// What `uname -r` says.
    pub release: String,
    /// The package's name.
    pub name: String,
}

impl Package {
    /// By its name; `None` if it is another flavour, or stands for the newest of a series.
    pub fn named(name: &str) -> Option<Self> {
        let release = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix))?;
        let version = release.strip_suffix(FLAVOUR)?;
        let numbers: Vec<u32> =
            version.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
        let begins_with_number = version.starts_with(|c: char| c.is_ascii_digit());
        (begins_with_number && numbers.len() > 2).then(|| Self {
            numbers,
            release: release.to_owned(),
            name: name.to_owned(),
        })
    }

    fn is_of(&self, (major, minor): (u32, u32)) -> bool {
        self.numbers.starts_with(&[major, minor])
    }
}

/// The newest package of each series, or of all where there is none given.
pub fn choose(series: &[Option<(u32, u32)>], offered: &BTreeSet<Package>) -> Result<Vec<Package>> {
    let newest = |series: &Option<(u32, u32)>| {
        let of_it = |package: &&Package| series.is_none_or(|series| package.is_of(series));
        match offered.iter().rev().find(of_it) {
            Some(package) => Ok(package.clone()),
            None => {
                let what = series.map_or(String::new(), |(major, minor)| format!(" {major}.{minor}"));
                bail!(
                    "no suite of Debian has a kernel{what} (any more); the matrix is in xtask/src/kernels/mod.rs"
                )
            }
        }
    };
    series.iter().map(newest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(names: &[&str]) -> BTreeSet<Package> {
        names.iter().filter_map(|name| Package::named(name)).collect()
    }

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let ordered = [
            "linux-image-5.10.0-46-cloud-amd64",
            "linux-image-6.1.0-0.deb11.52-cloud-amd64",
            "linux-image-6.1.0-9-cloud-amd64",
            "linux-image-6.1.0-57-cloud-amd64",
            "linux-image-6.12.9+deb12-cloud-amd64",
            "linux-image-6.12.90+deb12-cloud-amd64",
            "linux-image-6.12.90+deb12.1-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.117+deb13-cloud-amd64",
            "linux-binary-7.3.4+deb13-cloud-amd64",
        ];
        let packages = ordered.map(|name| Package::named(name).unwrap_or_else(|| panic!("{name}")));
        assert!(packages.is_sorted(), "{packages:?}");
    }

    #[test]
    fn other_packages_are_no_kernels() {
        for name in [
            "linux-image-6.12-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-image-6.1.0-57-amd64",
            "linux-image-6.1.0-57-cloud-amd64-dbg",
            "linux-image-6.1.0-57-rt-amd64",
            "linux-binary-unsigned-7.3.4+deb13-cloud-amd64",
            "linux-headers-6.1.0-57-cloud-amd64",
        ] {
            assert_eq!(Package::named(name), None, "{name}");
        }
    }

    #[test]
    fn the_newest_of_a_series_and_of_all_is_chosen() {
        let offered = offered(&[
            "linux-image-6.1.0-57-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.99+deb13-cloud-amd64",
            "linux-binary-7.2.13+deb14-cloud-amd64",
        ]);
        let chosen = |series: &[_]| {
            choose(series, &offered)
                .map(|all| all.into_iter().map(|package| package.name).collect::<Vec<_>>())
                .map_err(|error| error.to_string())
        };
        let names = ["linux-image-6.1.0-57-cloud-amd64", "linux-image-6.12.117+deb12-cloud-amd64"];
        assert_eq!(chosen(&[Some((6, 1)), Some((6, 12))]), Ok(names.map(String::from).to_vec()));
        assert_eq!(chosen(&[None]), Ok(vec!["linux-binary-7.2.13+deb14-cloud-amd64".to_owned()]));
        assert!(chosen(&[Some((5, 10))]).is_err_and(|error| error.contains("5.10")));
    }
}
