using System.Net;
using System.Runtime.CompilerServices;
using Microsoft.EntityFrameworkCore.Design;
using WebSample.Shop;

namespace WebSample.Tests;

public sealed class SampleTests(ShopApp shop)
{
    [Fact]
    public async Task The_openapi_document_lists_the_endpoints()
    {
        var document = (await shop.GetAsync("/openapi/v1.json")).Json;

        var paths = document.GetProperty("paths").EnumerateObject().Select(p => p.Name).ToHashSet();
        Assert.Superset(
            new HashSet<string>
            {
                "/products",
                "/products/{id}",
                "/customers",
                "/customers/{id}",
                "/orders",
                "/orders/{id}",
                "/reports/sales",
                "/tenants",
                "/tenants/{slug}",
            },
            paths
        );
        var placing = document.GetProperty("paths").GetProperty("/orders").GetProperty("post");
        Assert.Contains(
            placing.GetProperty("parameters").EnumerateArray(),
            p => p.GetProperty("name").GetString() == "X-Tenant"
        );
        Assert.True(placing.GetProperty("responses").TryGetProperty("201", out _));
    }

    [Fact]
    public async Task The_api_reference_is_a_page()
    {
        var page = await shop.GetAsync("/scalar");

        Assert.Equal((HttpStatusCode.OK, "text/html"), (page.Status, page.ContentType));
    }

    [Fact]
    public void Program_is_under_50_lines() => Assert.True(File.ReadAllLines(PathOf("Program.cs")).Length < 50);

    [Fact]
    public void The_sample_has_no_design_time_factory() =>
        Assert.DoesNotContain(
            typeof(ShopDbContext).Assembly.GetTypes(),
            type => type.IsAssignableTo(typeof(IDesignTimeDbContextFactory<ShopDbContext>))
        );

    [Fact]
    public async Task Ef_tools_work_with_the_program_as_it_is_and_start_no_server()
    {
        var checking = await Tools.RunEfAsync(
            Path.GetDirectoryName(PathOf("Program.cs"))!,
            "migrations has-pending-model-changes --context ShopDbContext"
        );

        Assert.True(checking.ExitCode == 0, checking.Output);
        Assert.Contains("No changes", checking.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("throwaway", checking.Output, StringComparison.Ordinal);
    }

    private static string PathOf(string file, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "samples", "WebSample", file);
}
