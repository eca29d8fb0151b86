package com.example;

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

public class Hello {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.getInteger("server.port");
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.createContext("/", exchange -> {
            String text = "Hello from Java " + Runtime.version().feature() + " to " + System.getenv("SPRING_DATASOURCE_URL")
                + " as " + System.getenv("JDBC_DATABASE_USERNAME") + " with " + System.getenv("JDBC_DATABASE_PASSWORD");
            byte[] body = (text + "\n").getBytes(StandardCharsets.UTF_8);
            boolean isHead = exchange.getRequestMethod().equals("HEAD");
            exchange.sendResponseHeaders(200, isHead ? -1 : body.length);
            if (!isHead) exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
