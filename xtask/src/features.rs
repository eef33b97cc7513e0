//! What the workspace's manifests say.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cargo::Call;

/// The packages that are published, with their features, and the oldest Rust that they compile with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) packages: Vec<Package>,
    pub(crate) rust_version: String,
}

/// A published package.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) features: Vec<String>,
}

impl Published {
    /// Asks cargo.
    pub(crate) fn read() -> Result<Self> {
        let metadata = Call::cargo("metadata --no-deps --format-version 1").output()?;
        Self::from_metadata(&serde_json::from_str(&metadata).context("cargo metadata")?)
    }

    fn from_metadata(metadata: &Value) -> Result<Self> {
        let all = metadata["packages"].as_array().context("no packages")?;
        // `publish = false` is an empty list of registries here.
        let published: Vec<&Value> = all
            .iter()
            .filter(|package| package["publish"].is_null())
            .collect();
        let first = published.first().context("no published package")?;
        let rust_version = first["rust_version"].as_str().context("no rust-version")?;
        let packages = published.iter().map(|package| {
            let name = package["name"].as_str().context("no name")?.to_owned();
            ensure!(
                package["rust_version"] == rust_version,
                "{name} has another rust-version than {rust_version}"
            );
            let features = package["features"].as_object().context("no features")?;
            Ok(Package {
                name,
                features: features.keys().cloned().collect(),
            })
        });
        Ok(Self {
            packages: packages.collect::<Result<_>>()?,
            rust_version: rust_version.to_owned(),
        })
    }

    /// Builds each package from what it contains. That the tree has uncommitted changes is no reason not to look.
    pub(crate) fn packaging(&self) -> Call {
        let call = Call::cargo("package --allow-dirty --quiet");
        self.packages
            .iter()
            .fold(call, |call, package| call.arg("-p").arg(&package.name))
    }

    /// A check of every library and program with every feature that the oldest Rust can compile.
    pub(crate) fn with_all_that_is_old_enough(&self) -> String {
        let mut check = "check --locked".to_owned();
        let mut features = Vec::new();
        for package in &self.packages {
            check.extend([" --package ", &package.name]);
            let of_package = package.features().filter(|f| !NEED_NEWER_RUST.contains(f));
            features.extend(of_package.map(|feature| format!("{}/{feature}", package.name)));
        }
        format!("{check} --features={}", features.join(","))
    }

    /// One check for each package without features and with each one alone, warnings denied.
    pub(crate) fn checks(&self) -> Vec<Call> {
        let check = |package: &Package, feature: &str| {
            // Clippy instead of check: it denies warnings here without compiling the dependencies anew.
            let name = &package.name;
            Call::cargo(&format!(
                "clippy --quiet --package {name} --no-default-features {feature} -- -D warnings"
            ))
        };
        let of_package = |package| {
            let features = Package::features(package).map(|f| format!("--features {f}"));
            let selections = std::iter::once(String::new()).chain(features);
            selections.map(move |selection| check(package, &selection))
        };
        self.packages.iter().flat_map(of_package).collect()
    }
}

/// Features that say in their README which newer Rust their dependency needs.
const NEED_NEWER_RUST: [&str; 1] = ["sqlx"];

impl Package {
    fn features(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_published_package_is_checked_bare_and_with_each_feature() {
        let metadata = json!({"packages": [
            {"name": "lib", "publish": null, "rust_version": "1.88", "features": {"default": ["a"], "a": []}},
            {"name": "tool", "publish": [], "rust_version": "1.88", "features": {"b": []}},
        ]});
        let published = Published::from_metadata(&metadata).unwrap();
        assert_eq!(published.rust_version, "1.88");
        let calls: Vec<String> = published.checks().iter().map(Call::to_string).collect();
        assert_eq!(calls.len(), 3);
        assert!(calls[0].contains("--package lib --no-default-features --"));
        assert!(calls[1].contains("--features a "));
        assert!(calls[2].contains("--features default "));
    }

    #[test]
    fn the_oldest_rust_is_not_asked_for_what_needs_a_newer_one() {
        let metadata = json!({"packages": [
            {"name": "lib", "publish": null, "rust_version": "1.88", "features": {"a": [], "b": [], "sqlx": []}},
        ]});
        let published = Published::from_metadata(&metadata).unwrap();
        let check = published.with_all_that_is_old_enough();
        assert_eq!(check, "check --locked --package lib --features=lib/a,lib/b");
    }

    #[test]
    fn packages_must_agree_on_their_rust_version() {
        let metadata = json!({"packages": [
            {"name": "one", "publish": null, "rust_version": "1.88", "features": {}},
            {"name": "two", "publish": null, "rust_version": "1.90", "features": {}},
        ]});
        let error = Published::from_metadata(&metadata).unwrap_err();
        assert!(error.to_string().contains("two"), "{error}");
    }
}
