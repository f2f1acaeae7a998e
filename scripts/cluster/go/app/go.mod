module helm-safe-deploy/cluster/app

go 1.25.0
