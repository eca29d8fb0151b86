package com.example;

public class Worker {
    public static void main(String[] arguments) throws Exception {
        while (true) {
            System.out.println("working");
            Thread.sleep(60_000);
        }
    }
}
