//! The migrations are compiled in, and the compiler does not notice a new file by itself.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
