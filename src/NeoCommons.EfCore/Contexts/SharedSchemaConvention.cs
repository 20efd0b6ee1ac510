using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using Microsoft.EntityFrameworkCore.Metadata.Conventions;
using Microsoft.EntityFrameworkCore.Metadata.Conventions.Infrastructure;

namespace NeoCommons.EfCore;

/// <summary>Gives a model of shared tables their schema, in the running application and in migrations alike.</summary>
internal sealed class SharedSchemaConvention(IDbContextOptions options)
    : IConventionSetPlugin,
        IModelInitializedConvention
{
    public ConventionSet ModifyConventions(ConventionSet conventionSet)
    {
        conventionSet.ModelInitializedConventions.Add(this);
        return conventionSet;
    }

    public void ProcessModelInitialized(
        IConventionModelBuilder modelBuilder,
        IConventionContext<IConventionModelBuilder> context
    ) => modelBuilder.HasDefaultSchema(options.FindExtension<SharedOptionsExtension>()!.Schema.Value);
}
