plugins { application }

application { mainClass = "com.example.Hello" }

tasks.register("stage") { dependsOn("build") }
