// Command peer is what the benchmark compares hybridge with where no other program does: the modules
// that hybridge is built with, and nothing of hybridge.
package main

import (
	"fmt"
	"os"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/go-ldap/ldap/v3"
	"github.com/spf13/cobra"
	"software.sslmate.com/src/go-pkcs12"
)

type model struct{}

func (model) Init() tea.Cmd                         { return nil }
func (m model) Update(tea.Msg) (tea.Model, tea.Cmd) { return m, tea.Quit }
func (model) View() string                          { return lipgloss.NewStyle().Bold(true).Render("peer") }

func main() {
	root := &cobra.Command{Use: "peer"}
	root.AddCommand(
		&cobra.Command{Use: "version", Run: func(*cobra.Command, []string) { fmt.Println("peer") }},
		&cobra.Command{Use: "wizard", RunE: func(*cobra.Command, []string) error {
			_, err := tea.NewProgram(model{}).Run()
			return err
		}},
		&cobra.Command{Use: "check URL", Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
			c, err := ldap.DialURL(args[0])
			if err != nil {
				return err
			}
			return c.Close()
		}},
		&cobra.Command{Use: "certificate FILE", Args: cobra.ExactArgs(1), RunE: certificate},
	)
	if root.Execute() != nil {
		os.Exit(1)
	}
}

func certificate(_ *cobra.Command, args []string) error {
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	_, _, err = pkcs12.Decode(data, "")
	return err
}
