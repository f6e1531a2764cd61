module devmesh.example/hello

go 1.19
