//! Images: importing, layering, building, removing.

use std::{collections::BTreeMap, io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use paas_core::{Id, ImageRef};
use paas_engine::{AdoptedImage, DockerfileBuild, EngineError, Environment, LayerSpec, Limits, SOURCE_LABEL};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    contract,
    world::{Program, World, bytes, tar},
};

/// Longer than any measurement of the engine by others.
const MEASURE_LIMIT: Duration = Duration::from_mins(1);

contract!(
    an_imported_image_keeps_its_labels,
    a_layer_is_an_image_of_its_app,
    a_layer_on_nothing_is_refused,
    an_input_that_breaks_off_is_not_the_engines_fault,
    an_image_in_use_stays,
    a_dockerfile_is_built,
    what_no_registry_gives_is_refused,
    a_saved_image_comes_back_as_it_was,
    what_takes_room_is_accounted_for,
    an_image_is_kept_as_an_apps,
    an_image_of_this_machine_cannot_be_had,
    an_image_of_another_app_cannot_be_had,
);

fn layer(world: &World, name: &str) -> LayerSpec {
    LayerSpec {
        base: world.image.clone(),
        tag: ImageRef::new(format!("paas-test-{}:{name}", world.platform)),
        app: Some(Id::from_uuid(Uuid::from_u128(7))),
        labels: BTreeMap::from([("commit".to_owned(), "abc".to_owned())]),
        environment: Environment::new().with("GREETING", "hello there"),
        working_dir: "/app".to_owned(),
        user: "10001:10001".to_owned(),
    }
}

async fn an_imported_image_keeps_its_labels(world: &World) {
    let tag = ImageRef::new(format!("paas-test-{}:imported", world.platform));
    let strange = r#"a "b" \c $HOME"#.to_owned();
    let labels = BTreeMap::from([("strange".to_owned(), strange)]);
    let tar = tar(&[("hello", "world")]);
    let image = world.engine.import_image(&tag, &labels, bytes(&tar)).await.unwrap();
    assert_eq!(image.labels.get("strange"), labels.get("strange"));
    assert_eq!(image.tags, std::slice::from_ref(&tag));
    assert!(image.size_bytes > 0 && image.created_at.is_some());
    let config = world.engine.image_config(&tag).await.unwrap().unwrap();
    assert_eq!((config.os.as_str(), config.layers.len()), ("linux", 1));
    assert!(!config.architecture.is_empty() && config.layers[0].starts_with("sha256:"));
    let none = ImageRef::new("paas-test-none:none");
    assert_eq!(world.engine.image_config(&none).await.unwrap(), None);
    assert!(
        world
            .engine
            .images()
            .await
            .unwrap()
            .iter()
            .any(|other| other.id == image.id)
    );

    world.engine.remove_image(&tag).await.unwrap();
    world.engine.remove_image(&tag).await.unwrap();
    assert_eq!(world.engine.image(&tag).await.unwrap(), None);
}

async fn a_layer_is_an_image_of_its_app(world: &World) {
    let layer = layer(world, "layer");
    let tar = tar(&[("app/hello", "world")]);
    let image = world.engine.commit_layer(&layer, bytes(&tar)).await.unwrap();
    assert_eq!((image.app, image.tags), (layer.app, vec![layer.tag.clone()]));
    assert_eq!((&image.user[..], &image.working_dir[..]), ("10001:10001", "/app"));
    assert_eq!(
        (image.entrypoint, image.command),
        (vec![], vec!["/bin/bash".to_owned()])
    );
    assert_eq!(image.labels["commit"], "abc");
    assert!(image.created_at.is_some());
    // What it took to make it is gone.
    assert_eq!(world.engine.list().await.unwrap(), []);
    let mut spec = world.spec("layer", Program::Sleep);
    spec.image = layer.tag;
    let container = world.engine.start(&spec).await.unwrap();
    assert_eq!(container.role, Some(spec.role));
}

async fn a_layer_on_nothing_is_refused(world: &World) {
    let mut layer = layer(world, "nothing");
    layer.base = ImageRef::new("paas-test-no-such:image");
    let error = world.engine.commit_layer(&layer, bytes(&tar(&[]))).await.unwrap_err();
    assert!(matches!(error, EngineError::NoImage { .. }), "{error}");
}

async fn an_input_that_breaks_off_is_not_the_engines_fault(world: &World) {
    let layer = layer(world, "broken");
    let whole = tar(&[("app/hello", "world")]);
    let start = Bytes::copy_from_slice(&whole[..700]);
    let broken = stream::iter([Ok(start), Err(io::Error::other("the pipe burst"))]);
    let error = world.engine.commit_layer(&layer, broken.boxed()).await.unwrap_err();
    let EngineError::Input { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.to_string(), "the pipe burst");
    assert_eq!(world.engine.image(&layer.tag).await.unwrap(), None);
    assert_eq!(world.engine.list().await.unwrap(), []);
}

async fn an_image_in_use_stays(world: &World) {
    let container = world.engine.start(&world.spec("user", Program::Sleep)).await.unwrap();
    let error = world.engine.remove_image(&world.image).await.unwrap_err();
    assert!(matches!(error, EngineError::InUse { .. }), "{error}");
    world.engine.remove(&container.id).await.unwrap();
    world.engine.remove_image(&world.image).await.unwrap();
}

async fn a_dockerfile_is_built(world: &World) {
    let tag = ImageRef::new(format!("paas-test-{}:built", world.platform));
    let build = DockerfileBuild {
        dockerfile: "Dockerfile".to_owned(),
        tag: tag.clone(),
        app: None,
        labels: BTreeMap::from([("commit".to_owned(), "abc".to_owned())]),
        arguments: Environment::new(),
        limits: Limits {
            memory_bytes: 3 * 1024 * 1024 * 1024,
            cpu_weight: 100,
            cpus: None,
            io_weight: None,
            pids: 64,
        },
        network: None,
        target: None,
    };
    let dockerfile = format!("FROM {}\nRUN echo said by a step\n", world.image);
    let context = bytes(&tar(&[("Dockerfile", &dockerfile)]));
    let (sender, mut receiver) = mpsc::channel(100);
    let image = world
        .engine
        .build_image(&build, context, sender, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!((image.tags, &image.labels["commit"][..]), (vec![tag], "abc"));
    assert!(receiver.recv().await.unwrap().starts_with(b"Step 1/"));
}

async fn what_no_registry_gives_is_refused(world: &World) {
    // Nobody listens on port 1 of this machine.
    let image = ImageRef::new("127.0.0.1:1/no/such:image");
    let error = world.engine.pull(&image).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error}");
}

async fn a_saved_image_comes_back_as_it_was(world: &World) {
    let engine = &world.engine;
    let layer = layer(world, "saved");
    let tar = tar(&[("app/hello", "world")]);
    let image = engine.commit_layer(&layer, bytes(&tar)).await.unwrap();
    let saved = engine.save_image(&layer.tag).await.unwrap().expect("it is there");
    let parts: Vec<Bytes> = saved.map(Result::unwrap).collect().await;
    engine.remove_image(&layer.tag).await.unwrap();
    assert!(engine.save_image(&image.id).await.unwrap().is_none());

    let archive = stream::iter(parts.into_iter().map(Ok)).boxed();
    engine.load_image(archive).await.unwrap();
    let loaded = engine.image(&image.id).await.unwrap().expect("it is there again");
    assert_eq!(
        (loaded.app, &loaded.tags, &loaded.labels),
        (image.app, &image.tags, &image.labels)
    );
    let mut spec = world.spec("loaded", Program::Sleep);
    spec.image = image.id;
    assert!(engine.start(&spec).await.unwrap().is_running());

    let nonsense = stream::once(async { Ok(Bytes::from_static(b"no archive")) }).boxed();
    assert!(engine.load_image(nonsense).await.is_err());
}

async fn what_takes_room_is_accounted_for(world: &World) {
    let layer = layer(world, "measured");
    let content = "x".repeat(100_000);
    let image = world
        .engine
        .commit_layer(&layer, bytes(&tar(&[("app/hello", &content)])))
        .await
        .unwrap();
    // Somebody else on this machine may be measuring, or removing what is measured.
    let measured = tokio::time::timeout(MEASURE_LIMIT, async {
        loop {
            match world.engine.disk().await {
                Ok(disk) => return disk,
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    });
    let disk = measured.await.expect("the disk can be measured");
    let measured = disk
        .images
        .iter()
        .find(|measured| measured.id == image.id)
        .expect("it is there");
    assert_eq!((measured.app, &measured.tags), (layer.app, &vec![layer.tag]));
    assert!(measured.own_bytes >= 100_000, "{measured:?}");
    assert!(disk.layers_bytes >= measured.own_bytes, "{disk:?}");
}

fn adopted(world: &World, name: &str, app: u128) -> AdoptedImage {
    AdoptedImage {
        tag: ImageRef::new(format!("paas-test-{}:{name}", world.platform)),
        app: Id::from_uuid(Uuid::from_u128(app)),
        labels: BTreeMap::from([("pushed".to_owned(), "abc".to_owned())]),
        limits: Limits {
            memory_bytes: 1 << 30,
            cpu_weight: 100,
            cpus: None,
            io_weight: None,
            pids: 64,
        },
    }
}

async fn an_image_is_kept_as_an_apps(world: &World) {
    let own = layer(world, "own");
    world
        .engine
        .commit_layer(&own, bytes(&tar(&[("app/hello", "world")])))
        .await
        .unwrap();
    let adopted = adopted(world, "kept", 7);
    let image = world
        .engine
        .adopt_image(&adopted, &own.tag, None, CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(
        (image.app, &image.tags[..]),
        (Some(adopted.app), &[adopted.tag.clone()][..])
    );
    assert_eq!(
        (&image.labels["pushed"][..], &image.labels[SOURCE_LABEL][..]),
        ("abc", own.tag.as_str())
    );
    assert!(
        world.engine.image(&own.tag).await.unwrap().is_some(),
        "it was here before"
    );
    let mut spec = world.spec("kept", Program::Sleep);
    spec.image = image.id;
    let container = world.engine.start(&spec).await.unwrap();
    world.engine.remove(&container.id).await.unwrap();
    world.engine.remove_image(&adopted.tag).await.unwrap();
    world.engine.remove_image(&own.tag).await.unwrap();
}

/// Somebody has built or fetched it here for another purpose: by its name alone it is not to be had.
async fn an_image_of_this_machine_cannot_be_had(world: &World) {
    let taken = adopted(world, "taken", 7);
    let refused = world
        .engine
        .adopt_image(&taken, &world.image, None, CancellationToken::new())
        .await;
    assert!(matches!(refused, Err(EngineError::Refused { .. })), "{refused:?}");
    assert!(world.engine.image(&world.image).await.unwrap().is_some(), "it stays");
    assert!(world.engine.image(&taken.tag).await.unwrap().is_none());
}

async fn an_image_of_another_app_cannot_be_had(world: &World) {
    let theirs = layer(world, "theirs");
    world
        .engine
        .commit_layer(&theirs, bytes(&tar(&[("app/hello", "world")])))
        .await
        .unwrap();
    let taken = world
        .engine
        .adopt_image(&adopted(world, "taken", 8), &theirs.tag, None, CancellationToken::new())
        .await;
    assert!(taken.is_err(), "{taken:?}");
    world.engine.remove_image(&theirs.tag).await.unwrap();
}
