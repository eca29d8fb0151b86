fn main() {
    loop {
        print!("{}", greeting::HELLO);
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}
