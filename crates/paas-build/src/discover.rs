//! The end of a build's log: which processes the app has, and where the time went.

use std::collections::BTreeMap;

use paas_core::{ProcessType, Procfile};

use crate::{output::Console, report::Report};

/// `Done in 5.3s: detect 0.1s, compile 4.1s, image 1.1s`.
pub(crate) fn summary(times: &[(String, f64)], image_seconds: f64) -> String {
    let all = times.iter().map(|(step, seconds)| (step.as_str(), *seconds));
    let all: Vec<_> = all.chain([("image", image_seconds)]).collect();
    // What a buildpack says about its own steps is part of its `compile`.
    let is_whole = |step: &str| ["source", "detect", "compile", "export", "image"].contains(&step);
    let sum: f64 = all
        .iter()
        .filter(|(step, _)| is_whole(step))
        .map(|(_, seconds)| seconds)
        .sum();
    let steps: Vec<_> = all
        .iter()
        .map(|(step, seconds)| format!("{step} {seconds:.1}s"))
        .collect();
    format!("Done in {sum:.1}s: {}", steps.join(", "))
}

/// The Procfile's process types, and the buildpack's own for those that it does not declare.
pub(crate) async fn discover(
    procfile: Option<&Procfile>,
    report: &Report,
    console: &Console,
) -> BTreeMap<ProcessType, String> {
    let declared = procfile
        .map(|procfile| procfile.process_types().clone())
        .unwrap_or_default();
    let mut process_types = report.default_process_types.clone();
    process_types.retain(|name, _| !declared.contains_key(name));

    console.header("Discovering process types").await;
    if !declared.is_empty() {
        let names = join(declared.keys().map(ProcessType::as_str), ", ");
        console.detail(&format!("Procfile declares types -> {names}")).await;
    }
    if !process_types.is_empty() {
        let (description, names) = (
            report.description.as_deref(),
            join(process_types.keys().map(ProcessType::as_str), ", "),
        );
        let description = description.unwrap_or("buildpack");
        console
            .detail(&format!("Default types for {description} -> {names}"))
            .await;
    }
    process_types.extend(declared);
    if !report.addons.is_empty() {
        let names = report.addons.join(", ");
        console
            .detail(&format!(
                "The buildpack asks for add-ons, which a build does not make: {names}"
            ))
            .await;
    }
    if process_types.is_empty() {
        let hint = "There is nothing to run: add a Procfile with a line such as: web: ./server";
        console.detail(hint).await;
    }
    process_types
}

pub(crate) fn join<'a>(words: impl IntoIterator<Item = &'a str>, separator: &str) -> String {
    words.into_iter().collect::<Vec<_>>().join(separator)
}
