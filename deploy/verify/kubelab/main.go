// kubelab is a Kubernetes control plane in one binary: etcd, API server, controllers, scheduler, and kubectl to
// speak with it. The first argument says which one it is.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usage = "usage: kubelab etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubectl [options]"

func main() {
	if len(os.Args) < 2 {
		fail(usage)
	}
	program := os.Args[1]
	os.Args = os.Args[1:]
	var command *cobra.Command
	switch program {
	case "etcd":
		etcdmain.Main(os.Args)
		return
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = controllers.NewControllerManagerCommand()
	case "kube-scheduler":
		command = scheduler.NewSchedulerCommand()
	case "kubectl":
		command = kubectl.NewDefaultKubectlCommand()
	default:
		fail(usage)
	}
	os.Exit(cli.Run(command))
}

func fail(words string) {
	fmt.Fprintln(os.Stderr, words)
	os.Exit(2)
}
