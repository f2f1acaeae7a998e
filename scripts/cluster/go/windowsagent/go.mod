module helm-safe-deploy/cluster/windowsagent

go 1.25.0
