//! The image that the lifecycle of a builder runs in: the builder, with the user of builds and dynos.

use paas_core::ImageRef;
use paas_engine::{Engine, Image};
use tokio_util::sync::CancellationToken;

use super::{Making, Stack, StackSettings, add_certificates, dockerfile, has, hash, lock};
use crate::{StackError, archive::MemoryTar, buildpack, output::Console};

const IMAGE: &str = "cnb-build";

impl Stack {
    /// Makes the image unless it is there, made of this very builder, and says which one it is.
    pub(crate) async fn ensure_cnb(
        engine: &dyn Engine,
        settings: &StackSettings,
        (name, builder): (&ImageRef, &Image),
        console: &Console,
        cancel: &CancellationToken,
    ) -> Result<ImageRef, StackError> {
        let recipe = buildpack::FILES.get_file(format!("stack/{}", dockerfile(IMAGE)));
        let recipe = recipe.expect("the file is compiled in, as a test asserts");
        let mut context = MemoryTar::new();
        context.file(&dockerfile(IMAGE), 0o644, recipe.contents());
        add_certificates(&mut context, settings.extra_ca.as_deref())?;
        let context = context.finish();
        let inputs = hash(format!("{} on {}", hash(&context), builder.id).as_bytes());
        // One for each builder: it is made anew, and the one before goes, when the builder's name means another image.
        let tag = ImageRef::new(format!("paas/stack-cnb:{}", &hash(name.as_str().as_bytes())[..12]));
        if has(engine, &tag, &inputs).await? {
            return Ok(tag);
        }
        let making = Making {
            engine,
            settings,
            console: console.clone(),
            cancel: cancel.clone(),
            stack: Self::ours(),
            context,
            inputs,
        };
        let lock = lock(&settings.work_dir, console).await?;
        if !making.has(&tag).await? {
            let line = format!("Making the image that {name} builds in, once");
            console.header(&line).await;
            making.build(IMAGE, &tag, ("IMAGE", &builder.id)).await?;
        }
        drop(lock);
        Ok(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_is_compiled_in() {
        assert!(
            buildpack::FILES
                .get_file(format!("stack/{}", dockerfile(IMAGE)))
                .is_some()
        );
    }
}
